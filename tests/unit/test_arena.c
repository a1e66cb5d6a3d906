/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <alloca.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/redzone.h"

static int open_arena(void **state)
{
    struct arena_options options = {.lock_preferred = false};
    struct err err;

    (void)state;
    return arena_open(&options, &err);
}

/* Of freed memory as well: the arena stays mapped, and reading it is defined here. */
static bool all_zero(const void *memory, size_t len)
{
    const uint8_t *at = memory;

    redzone_open(memory, len);
    while (len > 0 && *at == 0) {
        at++;
        len--;
    }
    return len == 0;
}

static size_t in_use(void)
{
    struct arena_stats stats;

    arena_stats(&stats);
    return stats.in_use;
}

static void freed_memory_is_wiped(void **state)
{
    char *secret = arena_alloc(100, ARENA_KEY);

    (void)state;
    assert_non_null(secret);
    memset(secret, 'x', 100);
    arena_free(secret);
    assert_true(all_zero(secret, 100));
}

static void fresh_memory_is_zero_and_aligned(void **state)
{
    size_t size;

    (void)state;
    for (size = 1; size < 5000; size = size * 2 + 1) {
        char *memory = arena_alloc(size, ARENA_WORK);

        assert_non_null(memory);
        assert_true(all_zero(memory, size));
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, 0xFF, size);
        arena_free(memory);
    }
}

static void a_moved_block_leaves_nothing_behind(void **state)
{
    char *first = arena_alloc(64, ARENA_KEY), *wall, *second;

    (void)state;
    memcpy(first, "move me", 8);
    wall = arena_alloc(64, ARENA_WORK); /* so that first cannot grow in place */
    second = arena_realloc(first, 4096, ARENA_KEY);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_string_equal(second, "move me");
    assert_true(all_zero(first, 64));
    arena_free(wall);
    arena_free(second);
}

static void a_shrunk_block_loses_its_tail(void **state)
{
    char *memory = arena_alloc(256, ARENA_KEY);

    (void)state;
    memset(memory, 'x', 256);
    assert_ptr_equal(arena_realloc(memory, 100, ARENA_KEY), memory);
    redzone_open(memory + 100, 156);
    /* The next block's header lies there, in which a byte may be an x by chance. */
    assert_null(memmem(memory + 100, 156, "xxxx", 4));
    arena_free(memory);
}

static void blocks_join_again(void **state)
{
    enum { COUNT = 200 };
    void *blocks[COUNT];
    size_t before = in_use(), locked, i;
    struct arena_stats stats;

    (void)state;
    for (i = 0; i < COUNT; i++)
        assert_non_null(blocks[i] = arena_alloc(100 + i, ARENA_WORK));
    for (i = 0; i < COUNT; i += 2)
        arena_free(blocks[i]);
    for (i = 1; i < COUNT; i += 2)
        arena_free(blocks[i]);
    assert_int_equal(in_use(), before);
    arena_stats(&stats);
    locked = stats.locked;
    blocks[0] = arena_alloc(30000, ARENA_WORK); /* fits where they were: nothing more is locked */
    assert_non_null(blocks[0]);
    arena_stats(&stats);
    assert_int_equal(stats.locked, locked);
    arena_free(blocks[0]);
}

static void a_full_arena_says_so(void **state)
{
    (void)state;
    assert_null(arena_alloc((size_t)64 << 20, ARENA_WORK));
    assert_null(arena_alloc(SIZE_MAX, ARENA_WORK));
    assert_null(arena_alloc(0, ARENA_WORK));
}

static void random_use_keeps_contents_apart(void **state)
{
    enum { SLOTS = 64, ROUNDS = 20000 };
    uint8_t *block[SLOTS] = {NULL};
    size_t size[SLOTS] = {0}, i;
    uint32_t seed = 1;
    int round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525 + 1013904223;
        i = seed >> 8 & (SLOTS - 1);
        if (block[i]) {
            assert_int_equal(block[i][0], (uint8_t)i);
            assert_int_equal(block[i][size[i] - 1], (uint8_t)i);
        }
        if (block[i] && seed & 1 << 20) {
            arena_free(block[i]);
            block[i] = NULL;
            continue;
        }
        size[i] = 1 + (seed >> 14 & 2047);
        block[i] = arena_realloc(block[i], size[i], ARENA_WORK);
        assert_non_null(block[i]);
        memset(block[i], (int)i, size[i]);
    }
    for (i = 0; i < SLOTS; i++)
        arena_free(block[i]);
}

static void secrets_are_found_in_text(void **state)
{
    char *token = arena_alloc(64, ARENA_TOKEN), *document = arena_alloc(64, ARENA_DOCUMENT);
    const char text[] = "wJalrXUtnFEMI/K7MDENG and more";

    (void)state;
    memcpy(token, "prefix wJalrXUtnFEMI/K7MDENG", 28);
    memcpy(document, " and more of a document", 23);
    assert_int_equal(arena_secret_prefix(text, sizeof text - 1), 21);
    assert_int_equal(arena_secret_prefix(text + 21, sizeof text - 22), 0);
    arena_free(token);
    assert_int_equal(arena_secret_prefix(text, sizeof text - 1), 0);
    arena_free(document);
}

static void buffers_keep_to_their_bound(void **state)
{
    struct buf buf = {.tag = ARENA_DOCUMENT, .max = 10};

    (void)state;
    assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
    assert_int_equal(buf_append(&buf, "x", 1), -1);
    assert_int_equal(buf.len, 10);
    assert_string_equal((char *)buf.data, "0123456789");
    buf_free(&buf);
    assert_null(buf.data);
}

static void public_buffers_take_no_locked_memory(void **state)
{
    struct buf buf = {.max = 1 << 20, .public = true};
    size_t before = in_use(), i;

    (void)state;
    for (i = 0; i < 10000; i++)
        assert_int_equal(buf_append(&buf, "0123456789abcdef", 16), 0);
    assert_int_equal(buf.len, 160000);
    assert_int_equal(in_use(), before);
    buf_free(&buf);
}

enum { TRACE_SIZE = 256 };

static uintptr_t stack_address;

static void leave_a_trace(void *argument)
{
    volatile char *secret = alloca(TRACE_SIZE); /* arrays are where a sanitizer has them */
    size_t i;

    for (i = 0; i < TRACE_SIZE; i++)
        secret[i] = *(char *)argument;
    stack_address = (uintptr_t)secret;
}

static void the_stack_is_wiped(void **state)
{
    struct err err;
    char mark = 'S';

    (void)state;
    assert_int_equal(arena_thread_start(leave_a_trace, &mark, &err), 0);
    assert_int_equal(arena_thread_join(&err), 0);
    assert_true(all_zero((void *)stack_address, TRACE_SIZE));
}

/* In a child that may lock so much, and has no privilege to pass over that. */
static int with_limit(rlim_t bytes, bool preferred)
{
    struct arena_options options = {.lock_preferred = preferred};
    const struct rlimit limit = {bytes, bytes};
    struct arena_stats stats;
    struct err err = {0};
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
            (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0))
            _exit(99);
        if (arena_open(&options, &err) < 0)
            _exit(err_info(err.code)->exit_status);
        arena_stats(&stats);
        _exit(stats.locked <= bytes && strcmp(stats.backing, "unlocked") == 0 &&
                      arena_alloc(100000, ARENA_KEY)
                  ? 0
                  : 98);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void refused_locking_is_an_error_unless_preferred(void **state)
{
    (void)state;
    assert_int_equal(with_limit(0, false), 71);
    assert_int_equal(with_limit(0, true), 0);
    assert_int_equal(with_limit(128 * 1024, true), 0); /* enough for the stack alone */
}

static void a_block_freed_twice_ends_the_process(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        const struct rlimit none = {0, 0};
        struct arena_options options = {.lock_preferred = true};
        struct err err;
        void *memory;

        (void)setrlimit(RLIMIT_CORE, &none);
        if (arena_open(&options, &err) < 0)
            _exit(97);
        memory = arena_alloc(10, ARENA_WORK);
        arena_free(memory);
        arena_free(memory);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* These two open an arena in a child, and so come before this process has one. */
        cmocka_unit_test(refused_locking_is_an_error_unless_preferred),
        cmocka_unit_test(a_block_freed_twice_ends_the_process),
        cmocka_unit_test_setup(fresh_memory_is_zero_and_aligned, open_arena),
        cmocka_unit_test(freed_memory_is_wiped),
        cmocka_unit_test(a_moved_block_leaves_nothing_behind),
        cmocka_unit_test(a_shrunk_block_loses_its_tail),
        cmocka_unit_test(blocks_join_again),
        cmocka_unit_test(a_full_arena_says_so),
        cmocka_unit_test(random_use_keeps_contents_apart),
        cmocka_unit_test(secrets_are_found_in_text),
        cmocka_unit_test(buffers_keep_to_their_bound),
        cmocka_unit_test(public_buffers_take_no_locked_memory),
        cmocka_unit_test(the_stack_is_wiped),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
