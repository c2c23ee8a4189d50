// What the small programs under the limit share: checks that end the program,
// memory filled up to the limit, and umemcg's own figures.
//
// Every program exits 0 when all held, 1 after a line that says what did not,
// and 77 (kSkipped) after a line that says why it cannot run here.

#ifndef UMEMCG_TESTS_PRELOAD_BEHAVIOURS_SUPPORT_H_
#define UMEMCG_TESTS_PRELOAD_BEHAVIOURS_SUPPORT_H_

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { kSkipped = 77 };

#define MIB ((size_t)1 << 20)

// Prints the place and the condition, then _exit(1). Needs no memory.
void CheckAt(bool ok, const char* file, int line, const char* text);
#define CHECK(condition) CheckAt((condition), __FILE__, __LINE__, #condition)

// Prints why, then _exit(kSkipped).
void Skip(const char* why);

// Prints to stdout without malloc.
void Say(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Blocks of memory, linked through their own first bytes.
struct Ballast {
  struct Ballast* next;
};

// Takes touched blocks of `size` until malloc refuses; returns how many. Checks
// the refusal's errno, and that there is a limit well below the machine's.
size_t Fill(struct Ballast** ballast, size_t size);

// Fill with ever smaller blocks, down to 16 bytes: nothing at all is left.
void FillToTheBrim(struct Ballast** ballast);

void Drop(struct Ballast** ballast);

// One of umemcg's figures for this process's group; -1 when the program runs
// without umemcg.
long long Figure(const char* file);

// The value in kB of a line of /proc/self/status, such as "VmRSS".
long long StatusKb(const char* key);

// Ends the program with SIGALRM if it has not finished by then.
void Deadline(unsigned seconds);

// Writes and checks a pattern that differs by seed.
void FillPattern(void* block, size_t size, unsigned seed);
bool HasPattern(const void* block, size_t size, unsigned seed);

// A small generator of its own state, for threads.
unsigned NextRandom(unsigned* state);

#ifdef __cplusplus
}
#endif

#endif  // UMEMCG_TESTS_PRELOAD_BEHAVIOURS_SUPPORT_H_
