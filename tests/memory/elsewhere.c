/* SPDX-License-Identifier: Apache-2.0 */
/* The agent with a lapse: jobs run on an ordinary stack. The tests must see it. */
#include <pthread.h>

int __wrap_pthread_attr_setstack(pthread_attr_t *attributes, void *stack, size_t size)
{
    (void)stack;
    return pthread_attr_setstacksize(attributes, size);
}
