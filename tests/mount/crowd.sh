# Makes, uses and removes groups of a mounted tree: TREE FIRST LAST ROUNDS. The
# daemon may be killed at any time, and the tree be mounted anew: in between,
# what lies below the mount takes its place.
tree=$1 first=$2 last=$3 rounds=$4

fail() {
  echo "$*" >&2
  exit 1
}

answers() { [ -e "$tree/cgroup.procs" ]; }

# Does it until it is done. One that fails although somebody answers may have
# met the moment before, but not ten times.
try() {
  tries=0 refused=0
  until "$@" 2> /dev/null; do
    if answers; then
      refused=$((refused + 1))
      [ $refused -le 10 ] || fail "$* fails: $("$@" 2>&1)"
    fi
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "$*: nobody answers"
    sleep 0.05
  done
}

use() {
  mkdir "$1" || [ -d "$1" ] || return 1
  echo 64M > "$1/memory.max" &&
    [ "$(cat "$1/memory.max")" = 67108864 ] &&
    [ "$(cat "$1/memory.current")" = 0 ]
}

# What a daemon did before it was killed, without an answer, is done.
remove() {
  rmdir "$1"
  answers && ! [ -d "$1" ] && answers
}

round=0
while [ $round -lt "$rounds" ]; do
  group=$first
  while [ "$group" -le "$last" ]; do
    try use "$tree/g$group"
    group=$((group + 1))
  done
  group=$first
  while [ "$group" -le "$last" ]; do
    try remove "$tree/g$group"
    group=$((group + 1))
  done
  round=$((round + 1))
done
echo $round
