# Uses nothing but mkdir, echo, cat, rmdir and a child under umemcg: $1 is the
# mounted tree, the rest is the child, which takes memory until it gets none.
set -e
tree=$1
shift

mkdir "$tree/job"
echo 64M > "$tree/job/memory.max"
echo "limit $(cat "$tree/job/memory.max")"
cat "$tree/job/cgroup.events"

UMEMCG_GROUP=/job LD_PRELOAD=$LIBRARY "$@"

cat "$tree/job/memory.events"
echo "peak $(cat "$tree/job/memory.peak")"
echo "left $(cat "$tree/job/memory.current")"
rmdir "$tree/job"
cat "$tree/job/memory.max" 2> /dev/null || echo gone
