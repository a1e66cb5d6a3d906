/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/aws.h"
#include "aws/profile.h"
#include "aws/roots.h"
#include "aws/secretsmanager.h"
#include "base/arena.h"
#include "base/clock.h"
#include "samples.h"
#include "x509/cert.h"

struct fake *fake;

static const struct aws *asked;
static char handle[3]; /* places that stand for what is opaque */
static size_t open_before, in_use_before;

/* Events as "\nEVENT|KEY=VALUE|KEY=VALUE|". */
static char logged[1 << 16];
static size_t logged_len;

static void put(const char *before, const char *text)
{
    logged_len +=
        (size_t)snprintf(logged + logged_len, sizeof logged - logged_len, "%s%s", before, text);
    assert_true(logged_len < sizeof logged);
}

static void note(void *user, const char *event, const struct log_field *fields)
{
    char number[32];

    (void)user;
    put("\n", event);
    for (; fields->key; fields++) {
        (void)snprintf(number, sizeof number, "%lld", (long long)fields->number);
        put("|", fields->key);
        put("=", fields->text ? fields->text : number);
    }
    put("|", "");
}

const char *fake_logged(const char *event, const char *field)
{
    static char value[1024];
    char name[64];
    const char *at = logged, *found = NULL, *end;

    (void)snprintf(name, sizeof name, "\n%s|", event);
    while ((at = strstr(at, name)) != NULL)
        found = ++at;
    (void)snprintf(name, sizeof name, "|%s=", field);
    end = found ? strchr(found, '\n') : NULL;
    found = found ? strstr(found, name) : NULL;
    if (!found || (end && found > end))
        return "";
    found += strlen(name);
    (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "|"), found);
    return value;
}

static size_t count_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

int64_t __wrap_clock_wall(void);
int64_t __wrap_clock_wall(void)
{
    return fake->wall + clock_ms() / 1000;
}

int __wrap_profiles_load(const struct config *config, struct profiles **out, struct err *err);
int __wrap_profiles_load(const struct config *config, struct profiles **out, struct err *err)
{
    (void)config;
    *out = NULL;
    return fake->start ? err_set(err, fake->start, "file", "it cannot be read") : 0;
}

struct anchors *__wrap_roots_load(const struct aws *aws, struct err *err);
struct anchors *__wrap_roots_load(const struct aws *aws, struct err *err)
{
    (void)aws;
    (void)err;
    return (struct anchors *)&handle[0];
}

enum verify_profile __wrap_roots_profile(const struct aws *aws);
enum verify_profile __wrap_roots_profile(const struct aws *aws)
{
    (void)aws;
    return VERIFY_STRICT;
}

/* Of the handle alone; identities have their own. */
/* Weak, for programs that have this file and do not wrap it. */
__attribute__((weak)) void __real_anchors_free(struct anchors *anchors);
void __wrap_anchors_free(struct anchors *anchors);
void __wrap_anchors_free(struct anchors *anchors)
{
    if (anchors != (struct anchors *)&handle[0])
        __real_anchors_free(anchors);
}

struct secretsmanager *__wrap_secretsmanager_new(const struct aws *aws, struct err *err);
struct secretsmanager *__wrap_secretsmanager_new(const struct aws *aws, struct err *err)
{
    (void)err;
    asked = aws;
    return (struct secretsmanager *)&handle[1];
}

void __wrap_secretsmanager_free(struct secretsmanager *manager);
void __wrap_secretsmanager_free(struct secretsmanager *manager)
{
    (void)manager;
}

/* Nothing waits. */
void __wrap_secretsmanager_drop_mixed(struct secretsmanager *manager, const char *const *secret_ids,
                                      size_t count);
void __wrap_secretsmanager_drop_mixed(struct secretsmanager *manager, const char *const *secret_ids,
                                      size_t count)
{
    (void)secret_ids;
    (void)count;
    assert_ptr_equal(manager, &handle[1]);
}

/* One question at a time. */
bool __wrap_secretsmanager_may_prefetch(struct secretsmanager *manager,
                                        const struct secret_question *question);
bool __wrap_secretsmanager_may_prefetch(struct secretsmanager *manager,
                                        const struct secret_question *question)
{
    (void)question;
    assert_ptr_equal(manager, &handle[1]);
    return false;
}

void __wrap_secretsmanager_renew(struct secretsmanager *manager);
void __wrap_secretsmanager_renew(struct secretsmanager *manager)
{
    assert_ptr_equal(manager, &handle[1]);
    fake->renewals++;
}

/* By its name or its ARN. */
static struct fake_secret *secret_of(const char *name)
{
    return &fake->secrets[strstr(name, "two") != NULL];
}

static int answer(const char *name, enum err_code code, struct secret_version *version,
                  struct err *err)
{
    struct fake_secret *secret = secret_of(name);

    clock_sleep(secret->hangs ? INT64_MAX / 2 : secret->takes_ms, asked->deadline);
    if (code != ERR_NONE) {
        (void)err_set(err, code, name, "as the test has it");
        err->young = secret->young;
        return -1;
    }
    (void)snprintf(version->arn, sizeof version->arn,
                   "arn:aws:secretsmanager:eu-central-1:123456789012:secret:%s-a1B2c3",
                   secret == fake->secrets ? "one" : "two");
    (void)snprintf(version->id, sizeof version->id, "%s", secret->version);
    return 0;
}

int __wrap_secretsmanager_describe(struct secretsmanager *manager, const char *name,
                                   struct secret_version *version, struct err *err);
int __wrap_secretsmanager_describe(struct secretsmanager *manager, const char *name,
                                   struct secret_version *version, struct err *err)
{
    struct fake_secret *secret = secret_of(name);
    int result;

    (void)manager;
    secret->describes++;
    result = answer(name, secret->describe, version, err);
    if (result == 0 && secret->describe_denied) {
        version->id[0] = '\0';
        (void)err_set(err, ERR_AWS_DENIED, name, "no right to describe it");
    }
    return result < 0 ? result : secret->describe_denied;
}

int __wrap_secretsmanager_get(struct secretsmanager *manager, const char *name,
                              struct secret *secret, struct err *err);
int __wrap_secretsmanager_get(struct secretsmanager *manager, const char *name,
                              struct secret *secret, struct err *err)
{
    struct fake_secret *from = secret_of(name);
    char cert[32], key[32];

    (void)manager;
    from->gets++;
    if (from->patience && from->gets > from->patience) {
        clock_sleep(INT64_MAX / 2, asked->deadline);
        return err_set(err, ERR_DEADLINE, name, "as the test has it");
    }
    if (answer(name, from->get, &secret->version, err) < 0)
        return -1;
    (void)snprintf(cert, sizeof cert, "%s.pem", from->leaf);
    (void)snprintf(key, sizeof key, "%s.key", from->leaf);
    secret->document = sample_document("client_cert", cert, "client_key", key, "ca_cert",
                                       from->ca ? from->ca : "ca.pem", NULL);
    return 0;
}

int __wrap_rehearse(const struct config *config, const struct identity *next,
                    const struct install_target *target, struct rehearsed *out, struct err *err);
int __wrap_rehearse(const struct config *config, const struct identity *next,
                    const struct install_target *target, struct rehearsed *out, struct err *err)
{
    (void)target;
    assert_ptr_equal(config, &fake->config);
    assert_non_null(next);
    fake->rehearsals++;
    fake->rehearsed = *out;
    if (fake->rehearsal < 0)
        return err_set(err, fake->rehearsal_code, "enclave", "as the test has it");
    out->outcome = (enum rehearsal)fake->rehearsal;
    return 0;
}

int __wrap_enclave_accepts(const struct config *config, const struct identity *identity,
                           int64_t deadline, struct err *err);
int __wrap_enclave_accepts(const struct config *config, const struct identity *identity,
                           int64_t deadline, struct err *err)
{
    (void)config;
    (void)deadline;
    assert_non_null(identity);
    fake->acceptances++;
    if (fake->accepts < 0)
        (void)err_set(err, ERR_ENCLAVE_UNREACHABLE, "enclave", "none could be asked");
    return fake->accepts;
}

int fake_setup(void **state)
{
    size_t i;

    (void)state;
    if (!fake)
        fake = calloc(1, sizeof *fake);
    if (!fake)
        return -1;
    *fake = (struct fake){.rehearsal = REHEARSAL_PROVEN, .dir = "/tmp/mtls-agent-unit-XXXXXX"};
    fake_set_wall(SAMPLES_NOW);
    logged_len = 0;
    logged[0] = '\0';
    log_observe(note, NULL);
    if (!mkdtemp(fake->dir))
        return -1;
    (void)snprintf(fake->locks, sizeof fake->locks, "%s-locks", fake->dir);
    fake->config = (struct config){
        .command = "fetch",
        .dir = fake->dir,
        .root = "",
        .lock_dir = fake->locks,
        .set_count = 1,
        .key_mode = 0600,
        .cert_mode = 0644,
        .dir_mode = 0755,
        .keep_previous_ms = 60 * 60 * 1000,
        .keep_if_unreachable = true,
        .interval_ms = FAKE_INTERVAL_MS,
    };
    fake->config.sets[0] = (struct config_set){.secrets = {"one"}, .secret_count = 1};
    fake->config.sets[1] = (struct config_set){.sub = "b", .secrets = {"two"}, .secret_count = 1};
    fake->agent = (struct agent){.config = &fake->config};
    for (i = 0; i < FAKE_SETS; i++)
        fake->secrets[i] = (struct fake_secret){.version = "v1", .leaf = "leaf"};
    open_before = count_open();
    return mkdir(fake->locks, 0700);
}

int fake_teardown(void **state)
{
    char command[256];
    const size_t left = count_open();

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s' '%s'", fake->dir, fake->locks);
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        return -1;
    assert_int_equal(left, open_before);
    return 0;
}

int fake_cycle(void)
{
    struct arena_stats stats;
    int status;

    arena_stats(&stats);
    in_use_before = stats.in_use;
    status = agent_cycle(&fake->agent, clock_ms() + FAKE_DEADLINE_MS);
    arena_stats(&stats);
    assert_int_equal(stats.in_use, in_use_before);
    assert_false(fake->agent.writing);
    return status;
}

const char *fake_installed(const char *sub)
{
    static const char *const leaves[] = {"client", "leaf"};
    char path[160], name[32];
    size_t i;

    (void)snprintf(path, sizeof path, "%s/%s/client.crt", fake->dir, sub);
    for (i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        char found[8192] = "", wanted[8192] = "";
        FILE *file = fopen(path, "r");
        struct buf text;

        if (!file)
            return "";
        (void)fread(found, 1, sizeof found - 1, file);
        (void)fclose(file);
        (void)snprintf(name, sizeof name, "%s.pem", leaves[i]);
        text = sample_text(name);
        memcpy(wanted, text.data, text.len);
        buf_free(&text);
        if (strcmp(found, wanted) == 0)
            return leaves[i];
    }
    return "?";
}

const char *fake_outcome(size_t set)
{
    const enum outcome outcome = fake->agent.sets[set].outcome;

    return outcome == OUTCOME_NONE ? "" : outcome_info(outcome)->name;
}

void fake_set_wall(int64_t now)
{
    fake->wall = now - clock_ms() / 1000;
}

static struct cert parsed(const char *leaf, struct buf *der)
{
    char name[32], reason[CERT_REASON_MAX];
    struct cert cert;

    (void)snprintf(name, sizeof name, "%s.pem", leaf);
    *der = sample_der(name);
    assert_int_equal(cert_parse(&cert, buf_bytes(der), reason), 0);
    return cert;
}

int64_t fake_not_before(const char *leaf)
{
    struct buf der;
    const int64_t at = parsed(leaf, &der).not_before;

    buf_free(&der);
    return at;
}

int64_t fake_not_after(const char *leaf)
{
    struct buf der;
    const int64_t at = parsed(leaf, &der).not_after;

    buf_free(&der);
    return at;
}

int fake_status_of(enum err_code code)
{
    return err_info(code)->exit_status;
}

void assert_fake_ends(int status, const char *outcome, const char *installed)
{
    const int ended = fake_cycle();

    if (ended != status || strcmp(fake_outcome(0), outcome) != 0 ||
        strcmp(fake_installed(""), installed) != 0)
        fail_msg("%d, %s, \"%s\": %s", ended, fake_outcome(0), fake_installed(""),
                 fake->agent.sets[0].err.reason);
}
