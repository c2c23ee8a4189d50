# gcc from source to program, at several levels.
set -eu
for level in 0 2 3; do
  gcc -std=gnu11 -g "-O$level" -Wall -Wextra -c expression.c -o "o$level.o"
done
gcc -O2 -flto -c expression.c -o lto.o -fno-fat-lto-objects
gcc -S -O2 expression.c -o - | md5sum
gcc -E -dM -x c /dev/null | wc -l
gcc o2.o -o expression
./expression '2 * (3 + 4) - 10 / 5' '((1))' '7 % 4 + 1 +' '1 / 0'
gcc -c missing.c 2>/dev/null || echo "status $?"
rm lto.o
