/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/log.h"

void __lsan_disable(void);
void __lsan_enable(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- allocations that fail ------------------------------------------------------------------ */

static struct {
    bool armed, starved, for_good;
    size_t count;
    size_t fails; /* the number of the one that does; 0: none */
} allocations;

static bool refused(void)
{
    if (!allocations.armed)
        return false;
    allocations.count++;
    if (!allocations.fails || allocations.count < allocations.fails ||
        (allocations.count > allocations.fails && !allocations.for_good))
        return false;
    allocations.starved = true;
    errno = ENOMEM;
    return true;
}

void *__real_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag);
void *__wrap_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag);
void *__real_heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag);
void *__wrap_heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_heap_alloc(struct heap *heap, size_t size, enum arena_tag tag)
{
    if (!refused())
        return __real_heap_alloc(heap, size, tag);
    heap->stats->refused++;
    return NULL;
}

void *__wrap_heap_realloc(struct heap *heap, void *memory, size_t size, enum arena_tag tag)
{
    if (!refused())
        return __real_heap_realloc(heap, memory, size, tag);
    heap->stats->refused++;
    return NULL;
}

void *__wrap_malloc(size_t size)
{
    return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return refused() ? NULL : __real_realloc(memory, size);
}

/* ---- the world, the same each time ---------------------------------------------------------- */

static int64_t now_ms;
static uint64_t random_state;

int64_t __wrap_clock_ms(void);
int64_t __wrap_clock_wall(void);
int64_t __wrap_clock_left(int64_t at_ms);
void __wrap_clock_sleep(int64_t ms, int64_t at_ms);
void __wrap_random_bytes(void *out, size_t len);
int __wrap_getentropy(void *out, size_t len);
int __wrap_kill(pid_t pid, int number);

int64_t __wrap_clock_ms(void)
{
    return now_ms;
}

int64_t __wrap_clock_wall(void)
{
    return FUZZ_NOW + now_ms / 1000;
}

int64_t __wrap_clock_left(int64_t at_ms)
{
    return at_ms > now_ms ? at_ms - now_ms : 0;
}

void __wrap_clock_sleep(int64_t ms, int64_t at_ms)
{
    int64_t left = __wrap_clock_left(at_ms);

    now_ms += ms < left ? ms : left;
}

/* xorshift64 (Marsaglia, 2003). */
void __wrap_random_bytes(void *out, size_t len)
{
    uint8_t *at = out;

    for (; len > 0; len--) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        *at++ = (uint8_t)random_state;
    }
}

int __wrap_getentropy(void *out, size_t len)
{
    __wrap_random_bytes(out, len);
    return 0;
}

/* An input names any process. */
int __wrap_kill(pid_t pid, int number)
{
    (void)number;
    errno = pid & 1 ? ESRCH : EPERM;
    return pid % 3 ? -1 : 0;
}

/* ---- inputs --------------------------------------------------------------------------------- */

struct bytes fuzz_part(struct bytes *rest)
{
    const uint8_t *cut = rest->len ? memchr(rest->data, FUZZ_CUT, rest->len) : NULL;
    struct bytes part = bytes_of(rest->data, cut ? (size_t)(cut - rest->data) : rest->len);

    *rest = cut ? bytes_of(cut + 1, rest->len - part.len - 1) : bytes_of(rest->data + rest->len, 0);
    return part;
}

unsigned fuzz_byte(struct bytes *rest)
{
    if (rest->len == 0)
        return 0;
    rest->len--;
    return *rest->data++;
}

char *fuzz_text(struct bytes part)
{
    size_t len = part.len ? strnlen((const char *)part.data, part.len) : 0;
    char *text = __real_malloc(len + 1);

    FUZZ_CHECK(text);
    if (len > 0)
        memcpy(text, part.data, len);
    text[len] = '\0';
    return text;
}

const char *fuzz_file(int slot, struct bytes content)
{
    static struct {
        int fd;
        char path[32];
    } files[FUZZ_FILES];

    if (!files[slot].path[0]) {
        files[slot].fd = memfd_create("fuzz", MFD_CLOEXEC);
        FUZZ_CHECK(files[slot].fd >= 0 && fchmod(files[slot].fd, 0600) == 0);
        (void)snprintf(files[slot].path, sizeof files[slot].path, "/proc/self/fd/%d",
                       files[slot].fd);
    }
    FUZZ_CHECK(ftruncate(files[slot].fd, 0) == 0 && lseek(files[slot].fd, 0, SEEK_SET) == 0 &&
               fs_write_all(files[slot].fd, content) == 0);
    return files[slot].path;
}

struct bytes fuzz_sample(const char *name)
{
    struct buf text = {.public = true};
    const char *folder = getenv("FUZZ_SAMPLES");
    char path[256];

    FUZZ_CHECK(folder); /* see tests/fuzz/run */
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FUZZ_CHECK(fs_read(AT_FDCWD, path, &text) == 0);
    return buf_bytes(&text);
}

/* ---- checks --------------------------------------------------------------------------------- */

bool fuzz_starved(void)
{
    return allocations.starved;
}

bool fuzz_out_of_memory(void)
{
    return allocations.starved && allocations.for_good;
}

_Noreturn void fuzz_failed(const char *condition, const char *file, int line)
{
    allocations.armed = false;
    (void)dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* Of the call that is looked at: nothing was refused before it. */
static bool fed;

void fuzz_err_open(struct err *err)
{
    memset(err, 0xA5, sizeof *err);
    fed = !fuzz_starved();
}

void fuzz_err_any(struct err *err)
{
    fuzz_err_open(err);
    fed = false;
}

void fuzz_err_check(const struct err *err)
{
    FUZZ_CHECK(err->code > ERR_NONE && err->code < ERR_CODES);
    FUZZ_CHECK(memchr(err->subject, '\0', sizeof err->subject) != NULL);
    FUZZ_CHECK(memchr(err->reason, '\0', sizeof err->reason) != NULL);
    FUZZ_CHECK(err->reason[0] != '\0');
    log_error(err);
    /* What was short of descriptors as well may say that. */
    if (fed && fuzz_out_of_memory() && err->code != ERR_MEMORY_FULL &&
        err->code != ERR_DESCRIPTORS_FULL)
        fuzz_failed(err->reason, __FILE__, __LINE__); /* the reason that was given instead */
}

int fuzz_result(int result, const struct err *err)
{
    FUZZ_CHECK(result == 0 || result == -1);
    if (result < 0)
        fuzz_err_check(err);
    fed = !fuzz_starved();
    return result;
}

/* ---- libFuzzer ------------------------------------------------------------------------------ */

/* A fuzzer that needs nothing. */
__attribute__((weak)) void fuzz_begin(void)
{
}

static void leaks_are_looked_for(bool yes)
{
#if __has_feature(address_sanitizer)
    if (yes)
        __lsan_enable();
    else
        __lsan_disable();
#else
    (void)yes;
#endif
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char *no_variables[] = {NULL};
    const struct log_options log = {.level = LOG_LEVEL_DEBUG, .format = LOG_FORMAT_JSON};
    struct err err;

    (void)argc, (void)argv;
    if (arena_open(&(struct arena_options){.lock_preferred = true}, &err) < 0 ||
        log_open(&log, &err) < 0)
        return 1;
    leaks_are_looked_for(false); /* what fuzzers keep may hang on the arena alone */
    fuzz_begin();
    leaks_are_looked_for(true);
    environ = no_variables;
    return 0;
}

static void run(struct bytes input, size_t fails, bool for_good)
{
    struct arena_stats before, after;

    arena_stats(&before);
    now_ms = 1000000;
    random_state = 0x9E3779B97F4A7C15;
    allocations.count = 0;
    allocations.fails = fails;
    allocations.for_good = for_good;
    allocations.starved = false;
    allocations.armed = true;
    fuzz(input);
    allocations.armed = false;
    arena_stats(&after);
    FUZZ_CHECK(before.in_use == after.in_use);
}

/* Which of so many allocations fails, and whether all behind it do, is the input's hash's choice.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes input = bytes_of(data, size);
    uint8_t hash[HASH_SIZE];
    size_t choice;

    run(input, 0, false);
    if (allocations.count == 0)
        return 0;
    hash_sha256(hash, input);
    memcpy(&choice, hash, sizeof choice);
    run(input, 1 + choice % allocations.count, hash[sizeof choice] & 1);
    return 0;
}
