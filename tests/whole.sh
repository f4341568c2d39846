#!/bin/sh
# Make each of the given goals, leave nothing running, and say how long each and the whole took. What others need must
# not fail; a red part of the tests does not hide what is red in the others. There is one cluster on a machine: of two
# checkouts, one waits until the other is done with it.
set -u
cd "$(dirname "$0")/.."
cache=${HEADRACE_CACHE:-$HOME/.cache/headrace}
mkdir -p "$cache"
exec 8>"$cache/whole.lock"
begun=$(date +%s)
times=
making=

took() {
  seconds=$(($(date +%s) - $2))
  times="$times$(printf '%3d min %02d s  %s' $((seconds / 60)) $((seconds % 60)) "$1")
"
}

# In the background, so that a signal is heard meanwhile; in a group of its own, which can be ended as a whole; and
# hearing SIGINT, which a shell lets its background ignore, and every test with it.
hold_cluster() {
  flock --nonblock 8 && return
  echo "another checkout uses the cluster: waiting until it is done" >&2
  setsid flock 8 &
  making=$!
  wait "$making"
}

run() {
  case $1 in lifecycle | images | up | cluster) hold_cluster ;; esac
  since=$(date +%s)
  setsid env --default-signal=INT,QUIT make --no-print-directory "$1" 8>&- &
  making=$!
  wait "$making"
  code=$?
  making=
  took "$1" "$since"
  return "$code"
}

finish() {
  status=$?
  trap '' INT TERM HUP
  [ -z "$making" ] || { kill -- "-$making" 2>/dev/null; wait "$making"; }
  if flock --nonblock 8; then run down || status=1; fi
  took whole "$begun"
  printf '\n%s' "$times"
  exit "$status"
}

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
red=0
for goal in "$@"; do
  run "$goal" && continue
  red=$?
  case $goal in build | images | up) exit "$red" ;; esac
done
exit "$red"
