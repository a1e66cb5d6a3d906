/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds secrets where and how a program may hold them, for the search to find. Reads lines FORM HEX
 * from standard input, says "ready", and waits for the end of standard input.
 *
 * Forms: bytes, reversed; i31, i62: as BearSSL's functions for numbers hold them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void br_i31_decode(uint32_t *number, const void *bytes, size_t len); /* BearSSL's own */

enum { LEN_MAX = 4096, LINE_MAX_ = 2 * LEN_MAX + 32 };

static uint8_t global[LEN_MAX];

static size_t read_hex(const char *text, uint8_t *out)
{
    size_t len = 0;
    unsigned byte;

    while (len < LEN_MAX && sscanf(text + 2 * len, "%2x", &byte) == 1)
        out[len++] = (uint8_t)byte;
    return len;
}

static void *page(void)
{
    return mmap(NULL, 4 * LEN_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* As br_i62_modpow_opt() assembles its operands: two limbs of 31 bits are one of 62. */
static void join(uint64_t *out, const uint32_t *number)
{
    const size_t count = (number[0] + 31) >> 5;
    size_t i;

    for (i = 0; i < count; i += 2)
        out[i / 2] = number[i + 1] + (i + 1 < count ? (uint64_t)number[i + 2] << 31 : 0);
}

static void plant(const char *form, const uint8_t *bytes, size_t len)
{
    static uint32_t number[LEN_MAX];
    uint8_t *to = strcmp(form, "global") == 0 ? global : page();
    size_t i;

    if (strcmp(form, "reversed") == 0) {
        for (i = 0; i < len; i++)
            to[i] = bytes[len - 1 - i];
    } else if (strcmp(form, "i31") == 0) {
        br_i31_decode((uint32_t *)(void *)to, bytes, len);
    } else if (strcmp(form, "i62") == 0) {
        br_i31_decode(number, bytes, len);
        join((uint64_t *)(void *)to, number);
        memset(number, 0, sizeof number);
    } else if (strcmp(form, "heap") == 0) {
        to = malloc(len);
        memcpy(to, bytes, len);
    } else {
        memcpy(to, bytes, len);
    }
    __asm__ volatile("" : : "r"(to) : "memory"); /* it is used, whatever the compiler thinks */
}

int main(void)
{
    static char line[LINE_MAX_];
    static uint8_t bytes[LEN_MAX];
    uint8_t on_stack[64];
    char form[16], c;

    memset(on_stack, 0, sizeof on_stack);
    setvbuf(stdin, NULL, _IONBF, 0);
    while (fgets(line, sizeof line, stdin) && sscanf(line, "%15s", form) == 1) {
        size_t len = read_hex(strchr(line, ' ') + 1, bytes);

        if (strcmp(form, "stack") == 0)
            memcpy(on_stack, bytes, len < sizeof on_stack ? len : sizeof on_stack);
        else
            plant(form, bytes, len);
        memset(line, 0, sizeof line);
        memset(bytes, 0, sizeof bytes);
    }
    __asm__ volatile("" : : "r"(on_stack), "r"(global) : "memory");
    puts("ready");
    fflush(stdout);
    return read(STDIN_FILENO, &c, 1) < 0;
}
