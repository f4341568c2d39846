#!/bin/sh
# Make the given goals one after the other, those within one word ("real cluster") at once; leave nothing running, and
# say how long each and the whole took. What others need must not fail; a red part of the tests does not hide what is
# red in the others. There is one cluster on a machine: of two checkouts, one waits until the other is done with it.
set -u
cd "$(dirname "$0")/.."
cache=${HEADRACE_CACHE:-$HOME/.cache/headrace}
mkdir -p "$cache"
exec 8>"$cache/whole.lock"
begun=$(date +%s)
notes=$(mktemp -d)
making=

took() {
  seconds=$(($2 - $1))
  printf '%3d min %02d s  %s\n' $((seconds / 60)) $((seconds % 60)) "$3" >>"$notes/times"
}

# In the background, so that a signal is heard meanwhile; in a group of its own, which can be ended as a whole; and
# hearing SIGINT, which a shell lets its background ignore, and every test with it. The group ends when all in it has.
begin() {
  setsid env --default-signal=INT,QUIT sh -c 'trap : INT TERM; "$@"; code=$?; date +%s >"$0"; exit $code' "$notes/$1.ended" \
    make --no-print-directory "$1" 8>&- &
  making="$making $!"
}

hold_cluster() {
  flock --nonblock 8 && return
  echo "another checkout uses the cluster: waiting until it is done" >&2
  setsid flock 8 &
  making=$!
  wait "$making"
  making=
}

# What the first of several goals says is seen while it is made, what the others say after it.
run() {
  for goal; do
    case $goal in lifecycle | images | up | cluster) hold_cluster ;; esac
  done
  since=$(date +%s)
  begin "$1"
  for goal; do
    [ "$goal" = "$1" ] || begin "$goal" >"$notes/$goal.said" 2>&1
  done
  code=0
  for group in $making; do
    wait "$group" || code=$?
  done
  making=
  for goal; do
    took "$since" "$(cat "$notes/$goal.ended")" "$goal"
  done
  say_rest
  return "$code"
}

say_rest() {
  for said in "$notes"/*.said; do
    [ ! -e "$said" ] || { cat "$said"; rm "$said"; }
  done
}

finish() {
  status=$?
  trap '' INT TERM HUP
  for group in $making; do
    kill -- "-$group" 2>/dev/null
    wait "$group"
  done
  say_rest
  if flock --nonblock 8; then
    since=$(date +%s)
    make --no-print-directory down 8>&- || status=1
    took "$since" "$(date +%s)" down
  fi
  took "$begun" "$(date +%s)" whole
  echo
  cat "$notes/times"
  rm -r "$notes"
  exit "$status"
}

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
red=0
for goals in "$@"; do
  # shellcheck disable=SC2086 -- a word of several goals
  run $goals && continue
  red=$?
  case $goals in build | images | up) exit "$red" ;; esac
done
exit "$red"
