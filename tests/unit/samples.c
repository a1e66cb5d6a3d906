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
#include "x509/pem.h"

bool samples_arena_gone;

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

static void append(struct buf *out, const char *text)
{
    assert_int_equal(buf_append_text(out, text), 0);
}

static void append_member(struct buf *document, const char *name, const char *file)
{
    struct buf text = sample_text(file);
    size_t i;

    append(document, document->len > 1 ? ",\"" : "\"");
    append(document, name);
    append(document, "\":\"");
    for (i = 0; i < text.len; i++)
        if (text.data[i] == '\n')
            append(document, "\\n");
        else
            assert_int_equal(buf_append(document, text.data + i, 1), 0);
    append(document, "\"");
    buf_free(&text);
}

struct buf sample_document(const char *name, const char *file, ...)
{
    struct buf document = {.tag = ARENA_DOCUMENT};
    va_list arguments;

    append(&document, "{");
    va_start(arguments, file);
    for (; name; name = va_arg(arguments, const char *)) {
        append_member(&document, name, file ? file : va_arg(arguments, const char *));
        file = NULL;
    }
    va_end(arguments);
    append(&document, "}");
    return document;
}
