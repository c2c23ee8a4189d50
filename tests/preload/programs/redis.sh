# A redis-server on a socket of its own, its client, its benchmark, a fork.
set -eu
call() { redis-cli -s redis.sock "$@"; }

redis-server --port 0 --unixsocket redis.sock --save '' --appendonly no \
  --daemonize no --logfile server.log &
server=$!
trap 'kill -9 $server 2>/dev/null || true' EXIT
for _ in $(seq 1 100); do
  [ -S redis.sock ] && [ "$(call ping 2>/dev/null)" = PONG ] && break
  sleep 0.05
done

call set greeting hello
call get greeting
call eval 'for i = 1, 20000 do
  redis.call("set", "key" .. i, string.rep("v", i % 300)) end
  return redis.call("dbsize")' 0
call eval 'for i = 1, 5000 do redis.call("zadd", "z", i % 977, "m" .. i) end
  return redis.call("zcard", "z")' 0
call strlen key299
call append greeting ' again'
redis-benchmark -s redis.sock -q -n 3000 -c 10 -P 4 -d 100 \
  -t set,get,lpush,hset,mset 2>/dev/null | tr '\r' '\n' |
  grep -o '^[A-Z]* *.*: [0-9.]* requests' | sed 's/:.*//' | sort -u
call bgsave
for _ in $(seq 1 100); do
  call info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
  sleep 0.05
done
call info persistence | grep -o 'rdb_last_bgsave_status:ok'
call debug digest-value greeting
call del key1 key2 key3
call memory purge
call shutdown nosave || true
wait $server
echo "server $?"
trap - EXIT
