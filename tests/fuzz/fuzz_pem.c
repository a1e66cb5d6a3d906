/* SPDX-License-Identifier: Apache-2.0 */
/* PEM and base64: what is accepted and written again is read as the same, and is canonical. */
#include "x509/pem.h"

#include "base/base64.h"
#include "fuzz.h"

static bool is_within(struct bytes view, struct bytes text)
{
    return view.data >= text.data && view.data + view.len <= text.data + text.len;
}

/* Reads text and writes its blocks into out, and all that they hold into der: how many; -1: one is
 * damaged. */
static int copy(struct bytes text, struct buf *out, struct buf *der)
{
    struct pem_reader reader = {text};
    struct pem_block block;
    int found, count = 0;
    size_t len = 0;

    while ((found = pem_next(&reader, &block, der)) > 0) {
        FUZZ_CHECK(memchr(block.label, '\0', sizeof block.label));
        FUZZ_CHECK(is_within(block.text, text) && is_within(reader.rest, text));
        (void)pem_is_private_key(&block);
        if (der->len > len &&
            pem_append(out, block.label, bytes_of(der->data + len, der->len - len)) == 0)
            count++;
        len = der->len;
    }
    return found < 0 ? -1 : count;
}

static void check_pem(struct bytes input)
{
    struct buf once = {.tag = ARENA_WORK}, twice = {.tag = ARENA_WORK};
    struct buf der = {.tag = ARENA_KEY}, again = {.tag = ARENA_KEY};
    int count = copy(input, &once, &der);

    if (count >= 0 && !fuzz_starved()) {
        FUZZ_CHECK(copy(buf_bytes(&once), &twice, &again) == count || fuzz_starved());
        FUZZ_CHECK(fuzz_starved() || (bytes_equal(buf_bytes(&once), buf_bytes(&twice)) &&
                                      bytes_equal(buf_bytes(&der), buf_bytes(&again))));
    }
    buf_free(&once);
    buf_free(&twice);
    buf_free(&der);
    buf_free(&again);
}

/* Without white space there is one text for any bytes. */
static void check_base64(struct bytes input)
{
    struct buf data = {.tag = ARENA_WORK}, text = {.tag = ARENA_WORK};

    if (base64_decode(&data, input, 0) == 0 && base64_encode(&text, buf_bytes(&data), 0) == 0)
        FUZZ_CHECK(bytes_equal(buf_bytes(&text), input));
    buf_free(&data);
    buf_free(&text);
    if (base64_encode(&text, input, 64) == 0 && base64_decode(&data, buf_bytes(&text), 1) == 0)
        FUZZ_CHECK(bytes_equal(buf_bytes(&data), input));
    else
        FUZZ_CHECK(fuzz_starved());
    buf_free(&data);
    buf_free(&text);
}

void fuzz(struct bytes input)
{
    check_pem(input);
    check_base64(input);
}
