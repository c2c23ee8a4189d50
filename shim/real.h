// The next definition of what this library interposes.
#pragma once

#include <pthread.h>
#include <threads.h>

namespace umemcg {

int real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*start)(void*), void* argument);
int real_thrd_create(thrd_t* thread, thrd_start_t start, void* argument);
int real_mlockall(int flags);

}  // namespace umemcg
