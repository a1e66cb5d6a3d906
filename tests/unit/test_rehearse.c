/* SPDX-License-Identifier: Apache-2.0 */
/* What a rehearsal decides by what enclaves answer. They are a list; time passes by sleeps alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "config/config.h"
#include "enclave/attestation.h"
#include "enclave/pins.h"
#include "enclave/probe.h"
#include "enclave/rehearse.h"
#include "identity/identity.h"
#include "install/install.h"
#include "install/installed.h"
#include "samples.h"

enum { ENDPOINTS_MAX = 4, ROUNDS_MAX = 64, TIME_MS = 60000, PAUSES_MAX = 64 };

/*
 * The answers of one endpoint, a letter a time that it is asked, the last one for good: "a" it
 * accepts, "r" refuses, "d" doubts, "n" is not mutual, "t" is untrusted, "x" unattested, "u"
 * unreachable, "s" silent, "." its turn did not come, "k" the key made a wrong signature, "!" it
 * cannot go on.
 */
struct script {
    const char *next[ENDPOINTS_MAX], *installed;
    enum err_code no_installed; /* why there is none; ERR_NONE: there is one */
};

static struct script script;
static struct config config;
static struct endpoint endpoints[ENDPOINTS_MAX];
static struct identity next_identity;
static struct err err;
static size_t asked[ENDPOINTS_MAX], rounds, comparisons, reads, pause_count, wrong;
static uint32_t pauses[PAUSES_MAX];
static int64_t last_deadline;
static struct attested pinned[ENDPOINTS_MAX];
static bool pins_written;

/* Blocks from calloc(3) that nobody has freed. */
static const void *blocks[16];
static size_t held;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    void *block = __real_calloc(count, size);
    size_t i = 0;

    while (blocks[i])
        if (++i == sizeof blocks / sizeof *blocks)
            abort();
    blocks[i] = block;
    held++;
    return block;
}

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    size_t i;

    for (i = 0; memory && i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i] == memory) {
            blocks[i] = NULL;
            held--;
        }
    __real_free(memory);
}

static enum probe_verdict verdict_of(char letter)
{
    switch (letter) {
    case 'a': return PROBE_ACCEPTED;
    case 'r': return PROBE_REFUSED;
    case 'd': return PROBE_DOUBTED;
    case 'n': return PROBE_NOT_MUTUAL;
    case 't': return PROBE_UNTRUSTED;
    case 'x': return PROBE_UNATTESTED;
    case 's': return PROBE_SILENT;
    case '.': return PROBE_UNASKED;
    default: return PROBE_UNREACHABLE;
    }
}

static void answer(char letter, size_t i, struct probe *probe)
{
    *probe = (struct probe){.verdict = verdict_of(letter), .signing_failed = letter == 'k'};
    (void)snprintf(probe->reason, sizeof probe->reason, "answer %c of %zu", letter, i);
    if (letter == 't')
        probe->verify = VERIFY_EXPIRED;
    if (letter == 'x')
        probe->attested = (struct probe_attested){.asked = true, .code = ERR_ATTEST_MISSING};
    if (letter == 'a') {
        probe->attested.asked = i != 2; /* as if its key was not asked for */
        memset(probe->attested.key, (int)i + 1, sizeof probe->attested.key);
    }
}

static char turn(const char *answers, size_t number)
{
    const size_t len = strlen(answers);

    return answers[number < len ? number : len - 1];
}

int __wrap_probe_endpoints(const struct probe_request *request, struct probe *probes,
                           struct err *out);
int __wrap_probe_endpoints(const struct probe_request *request, struct probe *probes,
                           struct err *out)
{
    const size_t first = (size_t)(request->endpoints - endpoints);
    size_t i;

    wrong += request->parallel == 0 || request->body_max == 0 || request->config != &config;
    last_deadline = request->deadline;
    if (request->identity != &next_identity) {
        wrong += request->count != 1 || probes[0].verdict != PROBE_UNASKED;
        comparisons++;
        answer(script.installed[first], first, &probes[0]);
        return 0;
    }
    if (++rounds > ROUNDS_MAX)
        abort();
    for (i = 0; i < request->count; i++) {
        char letter;

        if (probes[i].verdict != PROBE_UNASKED)
            continue;
        letter = turn(script.next[i], asked[i]++);
        if (letter == '!')
            return err_set(out, ERR_THREADS_FULL, NULL, "none");
        answer(letter, i, &probes[i]);
    }
    return 0;
}

struct identity *__wrap_installed_identity(const struct install_target *target, struct err *out);
struct identity *__wrap_installed_identity(const struct install_target *target, struct err *out)
{
    (void)target;
    reads++;
    if (script.no_installed == ERR_NONE)
        return arena_alloc(sizeof(struct identity), ARENA_WORK);
    (void)err_set(out, script.no_installed, "dir", "none");
    return NULL;
}

uint32_t __wrap_random_below(uint32_t below);
uint32_t __wrap_random_below(uint32_t below)
{
    if (pause_count < PAUSES_MAX)
        pauses[pause_count++] = below;
    return below - 1;
}

void __wrap_pins_write(const struct config *of, const struct attested *attested);
void __wrap_pins_write(const struct config *of, const struct attested *attested)
{
    pins_written = true;
    memcpy(pinned, attested, of->endpoint_count * sizeof *pinned);
}

static int setup(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ENDPOINTS_MAX; i++)
        (void)snprintf(endpoints[i].text, sizeof endpoints[i].text, "enclave-%zu:443", i);
    config = (struct config){.endpoints = endpoints};
    next_identity = (struct identity){.client.chain_count = 1};
    script = (struct script){.installed = "uuuu"};
    return 0;
}

/* Rehearses with the script; the outcome, or -1. */
static int try_out(enum rehearse_policy policy, struct rehearsed *out)
{
    const struct install_target target = {.dir = "/t", .sub = "", .deadline = clock_ms() + TIME_MS};
    const size_t held_before = held;
    int result;

    config.rehearse = policy;
    config.endpoint_count = 0;
    while (config.endpoint_count < ENDPOINTS_MAX && script.next[config.endpoint_count])
        config.endpoint_count++;
    memset(asked, 0, sizeof asked);
    rounds = comparisons = reads = pause_count = wrong = 0;
    err = (struct err){0};
    result = rehearse(&config, &next_identity, &target, out, &err);
    assert_int_equal(held, held_before);
    return result < 0 ? -1 : (int)out->outcome;
}

#define LACK (ERR_NO_IDENTITY)

/* How it ends: an outcome, or -1 with a code and the endpoint that is named. */
struct scene {
    enum rehearse_policy policy;
    struct script script;
    int ends;
    enum err_code code;
    size_t subject;
    size_t rounds, comparisons;
};

static const struct scene scenes[] = {
    /* One that accepts is enough, unless all must. */
    {REHEARSE_REFUSE, {{"a"}, "u", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REFUSE, {{"a", "a"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REFUSE, {{"r", "a"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REFUSE, {{"u", "a"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REFUSE, {{"s", "a"}, "uu", ERR_NONE}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REFUSE, {{".", "a"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REQUIRE, {{"a", "a"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    {REHEARSE_REQUIRE, {{"a", "r"}, "uu", LACK}, -1, ERR_ENCLAVE_REFUSED, 1, 1, 0},
    {REHEARSE_REQUIRE, {{"a", "u"}, "uu", LACK}, -1, ERR_ENCLAVE_UNREACHABLE, 1, 3, 0},
    {REHEARSE_REQUIRE, {{"a", "."}, "uu", LACK}, -1, ERR_DEADLINE, 1, 3, 0},
    {REHEARSE_REQUIRE, {{"u", "."}, "uu", LACK}, -1, ERR_ENCLAVE_UNREACHABLE, 0, 3, 0},
    {REHEARSE_REQUIRE, {{"a", "ua"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 2, 0},
    {REHEARSE_REQUIRE, {{"a", "uua"}, "uu", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 3, 0},
    {REHEARSE_REQUIRE, {{"u", "r"}, "uu", LACK}, -1, ERR_ENCLAVE_REFUSED, 1, 1, 0},
    /* What nobody says anything about passes, and is tried three times before. */
    {REHEARSE_REFUSE, {{"u"}, "u", LACK}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 3, 0},
    {REHEARSE_REFUSE, {{"u", "u"}, "uu", LACK}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 3, 0},
    {REHEARSE_REFUSE, {{"."}, "u", LACK}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 3, 0},
    {REHEARSE_REFUSE, {{"uuar"}, "u", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 3, 0},
    {REHEARSE_REFUSE, {{"uuua"}, "u", LACK}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 3, 0},
    {REHEARSE_REFUSE, {{"ur"}, "u", LACK}, -1, ERR_ENCLAVE_REFUSED, 0, 2, 0},
    /* What one said stands where its turn does not come again. */
    {REHEARSE_REQUIRE, {{"u."}, "u", LACK}, -1, ERR_ENCLAVE_UNREACHABLE, 0, 3, 0},
    /* Each way to say no; the worst comes first. */
    {REHEARSE_REFUSE, {{"r"}, "a", ERR_NONE}, -1, ERR_ENCLAVE_REFUSED, 0, 1, 0},
    {REHEARSE_REFUSE, {{"n"}, "a", ERR_NONE}, -1, ERR_ENCLAVE_REFUSED, 0, 1, 0},
    {REHEARSE_REFUSE, {{"t"}, "a", ERR_NONE}, -1, ERR_ENCLAVE_UNTRUSTED, 0, 1, 0},
    {REHEARSE_REFUSE, {{"x"}, "a", ERR_NONE}, -1, ERR_ATTEST_MISSING, 0, 1, 0},
    {REHEARSE_REFUSE, {{"t", "u", "r"}, "uuu", LACK}, -1, ERR_ENCLAVE_REFUSED, 2, 1, 0},
    {REHEARSE_REFUSE, {{"x", "t"}, "uu", LACK}, -1, ERR_ENCLAVE_UNTRUSTED, 1, 1, 0},
    {REHEARSE_REFUSE, {{"x", "n", "t"}, "uuu", LACK}, -1, ERR_ENCLAVE_REFUSED, 1, 1, 0},
    /* A doubt is a refusal where nothing is installed, or that is accepted; else it is none. */
    {REHEARSE_REFUSE, {{"d"}, "u", LACK}, -1, ERR_ENCLAVE_REFUSED, 0, 1, 0},
    {REHEARSE_REFUSE, {{"d"}, "a", ERR_NONE}, -1, ERR_ENCLAVE_REFUSED, 0, 1, 1},
    {REHEARSE_REFUSE, {{"d"}, "x", ERR_NONE}, -1, ERR_ENCLAVE_REFUSED, 0, 1, 1},
    {REHEARSE_REFUSE, {{"d"}, "d", ERR_NONE}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 1, 1},
    {REHEARSE_REFUSE, {{"d"}, "u", ERR_NONE}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 1, 1},
    {REHEARSE_REFUSE, {{"d"}, ".", ERR_NONE}, REHEARSAL_UNPROVEN, ERR_NONE, 0, 1, 1},
    {REHEARSE_REFUSE, {{"d", "a"}, "au", ERR_NONE}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 1},
    {REHEARSE_REFUSE, {{"u", "d"}, "ua", ERR_NONE}, -1, ERR_ENCLAVE_REFUSED, 1, 1, 1},
    {REHEARSE_REFUSE, {{"d"}, "u", ERR_DESCRIPTORS_FULL}, -1, ERR_DESCRIPTORS_FULL, 9, 1, 0},
    {REHEARSE_REFUSE, {{"a"}, "u", ERR_DESCRIPTORS_FULL}, REHEARSAL_PROVEN, ERR_NONE, 0, 1, 0},
    /* Silence is a refusal only where the installed identity is accepted. */
    {REHEARSE_REFUSE, {{"s"}, "a", ERR_NONE}, -1, ERR_ENCLAVE_REFUSED, 0, 1, 1},
    {REHEARSE_REFUSE, {{"s"}, "u", ERR_DESCRIPTORS_FULL}, -1, ERR_DESCRIPTORS_FULL, 9, 1, 0},
    {REHEARSE_REFUSE, {{"ssssa"}, "u", LACK}, REHEARSAL_PROVEN, ERR_NONE, 0, 5, 0},
    {REHEARSE_REFUSE, {{"ssssa"}, "u", ERR_NONE}, REHEARSAL_PROVEN, ERR_NONE, 0, 5, 4},
    /* A key that makes wrong signatures is not installed, whatever others say. */
    {REHEARSE_REFUSE, {{"a", "k"}, "uu", LACK}, -1, ERR_KEY_INVALID, 1, 1, 0},
    {REHEARSE_REFUSE, {{"k"}, "u", LACK}, -1, ERR_KEY_INVALID, 0, 1, 0},
    {REHEARSE_REQUIRE, {{"r", "k"}, "uu", LACK}, -1, ERR_KEY_INVALID, 1, 1, 0},
    /* A shortage is not an answer, at first and later. */
    {REHEARSE_REFUSE, {{"!"}, "u", LACK}, -1, ERR_THREADS_FULL, 9, 1, 0},
    {REHEARSE_REFUSE, {{"u!"}, "u", LACK}, -1, ERR_THREADS_FULL, 9, 2, 0},
};

static void check_scene(size_t number)
{
    const struct scene *scene = &scenes[number];
    struct probe probes[ENDPOINTS_MAX] = {{.verdict = PROBE_UNASKED}};
    struct rehearsed out = {.probes = probes};
    struct arena_stats before, after;
    int ended;

    script = scene->script;
    arena_stats(&before);
    ended = try_out(scene->policy, &out);
    arena_stats(&after);
    if (ended != scene->ends || (ended < 0 && err.code != scene->code))
        fail_msg("scene %zu: %d, %s", number, ended, err_info(err.code)->name);
    if (rounds != scene->rounds || comparisons != scene->comparisons)
        fail_msg("scene %zu: %zu rounds, %zu comparisons", number, rounds, comparisons);
    if (ended < 0 && scene->subject < ENDPOINTS_MAX)
        assert_string_equal(err.subject, endpoints[scene->subject].text);
    assert_int_equal(wrong, 0);
    assert_int_equal(after.in_use, before.in_use);
    if (ended == REHEARSAL_PROVEN)
        assert_int_equal(probes[0].verdict != PROBE_UNASKED, script.next[0][0] != '.');
}

static void each_scene_ends_as_the_page_says(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof scenes / sizeof *scenes; i++)
        check_scene(i);
}

static void what_is_installed_is_read_only_where_it_tells_something(void **state)
{
    struct rehearsed out = {.probes = NULL};

    (void)state;
    script = (struct script){{"a"}, "a", ERR_NONE};
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_PROVEN);
    assert_int_equal(reads, 0);
    script.next[0] = "d";
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), -1);
    assert_int_equal(reads, 1);
}

static void a_verdict_that_was_compared_says_so(void **state)
{
    struct probe probe;
    struct rehearsed out = {.probes = &probe};

    (void)state;
    script = (struct script){{"d"}, "a", ERR_NONE};
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), -1);
    assert_int_equal(probe.verdict, PROBE_REFUSED);
    assert_string_equal(probe.reason, "answer d of 0; the installed identity is accepted there");
    assert_string_equal(err.reason, probe.reason);
    script.installed = "d";
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_UNPROVEN);
    assert_int_equal(probe.verdict, PROBE_UNREACHABLE);
    assert_non_null(strstr(probe.reason, "answer d of 0; the installed identity is not accepted"));
    /* Silence stays what it is: the installed identity met with the same. */
    script.next[0] = "s";
    assert_int_equal(try_out(REHEARSE_REQUIRE, &out), -1);
    assert_int_equal(probe.verdict, PROBE_SILENT);
    assert_string_equal(probe.reason, "answer s of 0");
    assert_int_equal(err.code, ERR_ENCLAVE_UNREACHABLE);
}

/* Each pause is twice the one before it, four times; who is silent is asked until the deadline. */
static void pauses_grow_and_end_with_the_deadline(void **state)
{
    const uint32_t grown[] = {1000, 2000, 4000, 8000, 8000, 8000};
    struct rehearsed out = {.probes = NULL};
    int64_t begun = clock_ms();
    size_t i;

    (void)state;
    script = (struct script){{"s"}, "u", LACK};
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_UNPROVEN);
    assert_int_equal(last_deadline - begun, TIME_MS - TIME_MS / 10); /* the rest is the install's */
    assert_int_equal(clock_ms() - begun, TIME_MS - TIME_MS / 10);
    assert_in_range(pause_count, 6, 12);
    for (i = 0; i < sizeof grown / sizeof *grown; i++)
        assert_int_equal(pauses[i], grown[i]);
    assert_int_equal(rounds, pause_count);
    script.next[0] = "u";
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_UNPROVEN);
    assert_int_equal(pause_count, 2);
}

static void nobody_is_asked_where_there_is_nothing_to_try(void **state)
{
    struct probe probe = {.verdict = PROBE_SILENT};
    struct rehearsed out = {.outcome = REHEARSAL_PROVEN, .probes = &probe};

    (void)state;
    script = (struct script){{"r"}, "u", LACK};
    assert_int_equal(try_out(REHEARSE_OFF, &out), REHEARSAL_SKIPPED);
    script.next[0] = NULL;
    assert_int_equal(try_out(REHEARSE_REQUIRE, &out), REHEARSAL_SKIPPED);
    script.next[0] = "r";
    next_identity.client.chain_count = 0; /* a server's set */
    assert_int_equal(try_out(REHEARSE_REQUIRE, &out), REHEARSAL_SKIPPED);
    assert_int_equal(rounds, 0);
    assert_int_equal(probe.verdict, PROBE_SILENT);
}

static enum err_code cause_for(char letter, struct rehearsed *out)
{
    const char text[] = {letter, '\0'};

    script = (struct script){{text}, "u", LACK};
    assert_int_equal(try_out(REHEARSE_REFUSE, out), -1);
    return err.cause;
}

static void an_enclave_that_is_not_trusted_has_its_own_remedy(void **state)
{
    struct rehearsed out = {.probes = NULL};

    (void)state;
    assert_int_equal(cause_for('t', &out), CAUSE_ENCLAVE_DATES);
    assert_non_null(strstr(err_remedy(&err), "Renew"));
    assert_int_equal(cause_for('r', &out), ERR_ENCLAVE_REFUSED);
}

static void each_verdict_has_its_error(void **state)
{
    static const struct {
        struct probe probe;
        enum err_code cause;
    } rows[] = {
        {{.verdict = PROBE_UNASKED}, ERR_DEADLINE},
        {{.verdict = PROBE_REFUSED}, ERR_ENCLAVE_REFUSED},
        {{.verdict = PROBE_REFUSED, .cause = CAUSE_ENCLAVE_PLAIN}, ERR_ENCLAVE_REFUSED},
        {{.verdict = PROBE_DOUBTED}, ERR_ENCLAVE_REFUSED},
        {{.verdict = PROBE_NOT_MUTUAL, .cause = CAUSE_ENCLAVE_PLAIN}, CAUSE_NOT_MUTUAL},
        {{.verdict = PROBE_SILENT}, ERR_ENCLAVE_UNREACHABLE},
        {{.verdict = PROBE_SILENT, .cause = CAUSE_ENCLAVE_PLAIN}, CAUSE_ENCLAVE_PLAIN},
        {{.verdict = PROBE_UNREACHABLE}, ERR_ENCLAVE_UNREACHABLE},
        {{.verdict = PROBE_UNREACHABLE, .cause = CAUSE_ENCLAVE_DNS}, CAUSE_ENCLAVE_DNS},
        {{.verdict = PROBE_UNTRUSTED, .verify = VERIFY_EXPIRED}, CAUSE_ENCLAVE_DATES},
        {{.verdict = PROBE_UNTRUSTED, .verify = VERIFY_NAME_MISMATCH}, CAUSE_ENCLAVE_NAME},
        {{.verdict = PROBE_UNTRUSTED, .verify = VERIFY_COMMON_NAME_ONLY}, CAUSE_ENCLAVE_NAME},
        {{.verdict = PROBE_UNTRUSTED, .verify = VERIFY_LIMIT}, CAUSE_ENCLAVE_CHAIN},
        {{.verdict = PROBE_UNTRUSTED, .verify = VERIFY_MALFORMED}, CAUSE_ENCLAVE_CERTIFICATE},
        {{.verdict = PROBE_UNATTESTED, .attested.code = ERR_ATTEST_IMAGE}, ERR_ATTEST_IMAGE},
        {{.verdict = PROBE_ACCEPTED, .attested.code = ERR_ATTEST_IMAGE}, ERR_ATTEST_IMAGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe probe = rows[i].probe;

        (void)snprintf(probe.reason, sizeof probe.reason, "100%% so");
        assert_int_equal(probe_blame(&endpoints[1], &probe, &err), -1);
        if ((err.cause ? err.cause : err.code) != rows[i].cause)
            fail_msg("row %zu", i);
        assert_string_equal(err.subject, "enclave-1:443");
        assert_string_equal(err.reason, "100% so");
    }
}

static void pins_are_those_that_were_attested_just_now(void **state)
{
    static const uint8_t first[HASH_SIZE] = {[0 ... HASH_SIZE - 1] = 1};
    struct rehearsed out = {.pins = true};

    (void)state;
    memset(pinned, 0, sizeof pinned);
    pins_written = false;
    script = (struct script){{"a", "x", "a", "a"}, "uuuu", LACK};
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_PROVEN);
    assert_false(pins_written); /* no file is configured */
    config.attest_pins = "/pins";
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_PROVEN);
    assert_true(pins_written);
    assert_memory_equal(pinned[0].keys[0].said.key, first, HASH_SIZE);
    assert_int_equal(pinned[0].keys[0].at_ms, clock_ms());
    assert_int_equal(pinned[1].keys[0].at_ms, 0);
    assert_int_equal(pinned[2].keys[0].at_ms, 0);
    assert_int_equal(pinned[3].keys[0].said.key[0], 4);
    pins_written = false;
    assert_int_equal(try_out(REHEARSE_REQUIRE, &out), -1);
    assert_false(pins_written);
    out.pins = false;
    assert_int_equal(try_out(REHEARSE_REFUSE, &out), REHEARSAL_PROVEN);
    assert_false(pins_written);
}

static void one_that_accepts_now_is_enough(void **state)
{
    static const struct {
        const char *first, *second;
        int accepts;
    } cases[] = {{"a", "r", 1}, {"u", "a", 1}, {"r", "u", 0}, {"u", "s", 0}, {"u", "!", -1}};
    const size_t held_before = held;
    size_t i;

    (void)state;
    config.endpoint_count = 2;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(asked, 0, sizeof asked);
        script = (struct script){{cases[i].first, cases[i].second}, "uu", LACK};
        assert_int_equal(enclave_accepts(&config, &next_identity, clock_ms() + TIME_MS, &err),
                         cases[i].accepts);
    }
    config.endpoint_count = 0;
    assert_int_equal(enclave_accepts(&config, &next_identity, clock_ms() + TIME_MS, &err), 0);
    assert_int_equal(held, held_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_scene_ends_as_the_page_says, setup),
        cmocka_unit_test_setup(what_is_installed_is_read_only_where_it_tells_something, setup),
        cmocka_unit_test_setup(a_verdict_that_was_compared_says_so, setup),
        cmocka_unit_test_setup(pauses_grow_and_end_with_the_deadline, setup),
        cmocka_unit_test_setup(nobody_is_asked_where_there_is_nothing_to_try, setup),
        cmocka_unit_test_setup(an_enclave_that_is_not_trusted_has_its_own_remedy, setup),
        cmocka_unit_test_setup(each_verdict_has_its_error, setup),
        cmocka_unit_test_setup(pins_are_those_that_were_attested_just_now, setup),
        cmocka_unit_test_setup(one_that_accepts_now_is_enough, setup),
    };

    return cmocka_run_group_tests(tests, samples_setup, NULL);
}
