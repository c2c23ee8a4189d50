# g++ on a file that pulls in most of the standard library.
set -eu
g++ -std=c++20 -g -c containers.cc -o containers.o
g++ containers.o -o containers
./containers
g++ -std=c++20 -fsyntax-only -x c++ - <<'END' 2>/dev/null || echo "status $?"
#include <map>
std::map<int, int> broken = "no";
END
