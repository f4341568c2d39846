#!/bin/sh
# Make each of the given goals, leave nothing running, and say how long each and the whole took. A goal `beside:NAME`
# is made beside those that follow, which go first where both want a processor; what it prints is shown when all are
# done. What others need must not fail; a red part of the tests does not hide what is red in the others. There is one
# cluster on a machine: of two checkouts, one waits until the other is done with it.
set -u
cd "$(dirname "$0")/.."
cache=${HEADRACE_CACHE:-$HOME/.cache/headrace}
mkdir -p "$cache"
exec 8>"$cache/whole.lock"
begun=$(date +%s)
times=
making=
made=
beside=
red=0

took() {
  seconds=$(($(date +%s) - $2))
  times="$times$(printf '%3d min %02d s  %s' $((seconds / 60)) $((seconds % 60)) "$1")
"
}

# In the background, so that a signal is heard meanwhile; in a group of its own, which can be ended as a whole; and
# hearing SIGINT, which a shell lets its background ignore, and every test with it.
begin() {
  setsid nice -n "$2" env --default-signal=INT,QUIT make --no-print-directory "$1" 8>&- &
}

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
  begin "$1" 0
  making=$!
  wait "$making"
  code=$?
  made=$making
  making=
  took "$1" "$since"
  return "$code"
}

run_beside() {
  name=$1 said=$(mktemp) beside_since=$(date +%s)
  begin "$name" 10 >"$said" 2>&1
  beside=$!
}

await_beside() {
  [ -n "$beside" ] || return 0
  echo "waiting for $name, which runs beside" >&2
  wait "$beside" || red=$?
  [ "$!" != "$beside" ] || made=$beside
  beside=
  took "$name" "$beside_since"
  show_beside
}

show_beside() {
  cat "$said"
  rm -f "$said"
}

# What has only just begun may not have its group yet.
end() {
  tries=50
  until kill -- "-$1" 2>/dev/null || [ "$tries" -eq 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
  wait "$1"
}

finish() {
  status=$?
  trap '' INT TERM HUP
  [ "${!:-$made}" = "$made" ] || making=$! # a signal may come before it is noted what was begun
  [ -z "$making" ] || [ "$making" = "$beside" ] || end "$making"
  [ -z "$beside" ] || { end "$beside"; show_beside; }
  if flock --nonblock 8; then run down || status=1; fi
  took whole "$begun"
  printf '\n%s' "$times"
  exit "$status"
}

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
for goal in "$@"; do
  case $goal in beside:*) run_beside "${goal#beside:}" && continue ;; esac
  run "$goal" && continue
  red=$?
  case $goal in build | images | up) exit "$red" ;; esac
done
await_beside
exit "$red"
