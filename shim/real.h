// The next definition of what this library interposes, and whose definitions
// the program uses.
#pragma once

#include <link.h>
#include <pthread.h>
#include <threads.h>

namespace umemcg {

int real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*start)(void*), void* argument);
int real_thrd_create(thrd_t* thread, thrd_start_t start, void* argument);
int real_mlockall(int flags);

// The loaded object that the address lies in, or null.
const link_map* object_of(const void* address);
// What the program's own calls of that name are bound to.
void* bound_function(const char* name);

}  // namespace umemcg
