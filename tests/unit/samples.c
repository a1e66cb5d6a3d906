/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/err.h"
#include "base/fs.h"
#include "identity/pem.h"

int samples_setup(void **state)
{
    struct err err;

    (void)state;
    return arena_open(&(struct arena_options){.lock_preferred = true}, &err);
}

struct buf sample_text(const char *name)
{
    struct buf text = {.tag = ARENA_DOCUMENT};
    char path[128];

    (void)snprintf(path, sizeof path, "tests/unit/data/%s", name);
    if (fs_read(AT_FDCWD, path, &text) < 0)
        fail_msg("%s cannot be read", path);
    return text;
}

struct buf sample_der(const char *name)
{
    struct buf text = sample_text(name), der = {.tag = ARENA_KEY};
    struct pem_reader reader = {buf_bytes(&text)};
    struct pem_block block;

    assert_int_equal(pem_next(&reader, &block, &der), 1);
    buf_free(&text);
    return der;
}
