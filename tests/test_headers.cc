// What precompiles gtest.h for the tests (tests/CMakeLists.txt).
int main() {}
