# Pipelines, subshells, arrays, substitutions and jobs of bash.
set -u

declare -A squares
for i in $(seq 1 3000); do squares[$i]=$((i * i)); done
echo "map ${#squares[@]} ${squares[77]}"

list=()
for i in $(seq 1 5000); do list+=("item $i"); done
echo "list ${#list[@]} ${list[-1]} ${list[*]:10:2}"

seq 1 200000 | awk '{ sum += $1 % 97 } END { print "awk", sum }'
seq 1 50000 | sort -r | head -3 | tr '\n' ' '
echo
printf '%s\n' "${list[@]}" | grep -c '7$'

total=0
for i in $(seq 1 60); do
  total=$((total + $( (echo $((i * 3)); exit 0) )))
done
echo "subshells $total"

while read -r a b; do last="$a-$b"; done < <(printf '%s\n' "${list[@]}")
echo "process substitution $last"

text=$(seq 1 100000)
echo "text ${#text} ${text//$'\n'/,}" | md5sum

coproc CAT { cat; }
cat_pid=$CAT_PID  # bash takes the variable away when it sees the end
echo "through a coprocess" >&"${CAT[1]}"
read -r answer <&"${CAT[0]}"
eval "exec ${CAT[1]}>&-"
wait "$cat_pid"
echo "$answer"

for i in 1 2 3 4; do (exit $i) & pids[i]=$!; done
for i in 1 2 3 4; do wait "${pids[i]}"; echo "job $i $?"; done

sh -c 'kill -TERM $$'
echo "killed $?"
cat <<END
here $((6 * 7))
END
false | true
echo "status ${PIPESTATUS[*]}"
