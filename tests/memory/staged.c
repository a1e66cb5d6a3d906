/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent that says what TLS 1.3 makes secret, and stops, as by SIGSTOP, whenever one secret has
 * taken another's place. The file STAGES gets a byte for each (enum secret, or enum stage), the
 * length, and the secret. Nothing of it is copied.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tls13/impl.h"

/* test_stages.py has the same. */
enum secret {
    SCALAR,
    SHARED,
    EARLY,
    SECRET, /* of the key schedule: handshake, then master */
    OURS,   /* traffic secrets of the handshake */
    THEIRS,
    OUR_DATA, /* and of the application */
    THEIR_DATA,
    EXPORTER,
    RESUMPTION,
    TICKET
};
enum stage { HELLO = 32, PROVEN, OPEN, UPDATED };

static int file;

static __attribute__((constructor)) void open_file(void)
{
    const char *path = getenv("STAGES");

    file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (file < 0)
        abort();
}

static void write_note(uint8_t what, const uint8_t *data, size_t len)
{
    uint8_t head[] = {what, (uint8_t)len};
    const struct iovec parts[] = {{head, sizeof head}, {(uint8_t *)(uintptr_t)data, len}};

    if (syscall(SYS_writev, file, parts, 2) != (long)(sizeof head + len))
        abort();
    if (len == 0) /* this thread is the first to stop */
        (void)syscall(SYS_tkill, syscall(SYS_gettid), SIGSTOP);
}

/* Far below, so that what was used last of the stack stays as it is. */
static __attribute__((noinline)) void note(uint8_t what, const uint8_t *data, size_t len)
{
    __attribute__((uninitialized)) uint8_t gap[3072];

    __asm__ volatile("" : : "r"(gap) : "memory");
    write_note(what, data, len);
}

static void stop(enum stage stage)
{
    note((uint8_t)stage, NULL, 0);
}

/* Keys were changed: which stage is it that begins? */
static void stop_by_state(const struct tls13 *tls)
{
    if (tls->state == TLS13_FINISHED)
        stop(PROVEN);
    else if (tls->state == TLS13_OPEN)
        stop(UPDATED);
    else if (tls->state < TLS13_FINISHED)
        stop(HELLO); /* else ours are being changed, and what is over is wiped next */
}

size_t __real_share_make(struct tls13 *tls, unsigned group, uint8_t out[POINT_MAX]);
size_t __wrap_share_make(struct tls13 *tls, unsigned group, uint8_t out[POINT_MAX]);
size_t __real_share_agree(const struct tls13 *tls, struct view share, uint8_t out[POINT_MAX]);
size_t __wrap_share_agree(const struct tls13 *tls, struct view share, uint8_t out[POINT_MAX]);
void __real_schedule_begin(struct tls13 *tls, const uint8_t *psk);
void __wrap_schedule_begin(struct tls13 *tls, const uint8_t *psk);
void __real_schedule_handshake(struct tls13 *tls, const uint8_t *shared, size_t len);
void __wrap_schedule_handshake(struct tls13 *tls, const uint8_t *shared, size_t len);
void __real_schedule_application(struct tls13 *tls);
void __wrap_schedule_application(struct tls13 *tls);
void __real_schedule_resumption(struct tls13 *tls);
void __wrap_schedule_resumption(struct tls13 *tls);
void __real_schedule_ticket(const struct tls13 *tls, const uint8_t *nonce, size_t len,
                            uint8_t *out);
void __wrap_schedule_ticket(const struct tls13 *tls, const uint8_t *nonce, size_t len,
                            uint8_t *out);
void __real_schedule_update(const struct tls13 *tls, uint8_t *secret);
void __wrap_schedule_update(const struct tls13 *tls, uint8_t *secret);
void __real_record_keys_in(struct tls13 *tls, const uint8_t *secret);
void __wrap_record_keys_in(struct tls13 *tls, const uint8_t *secret);
void __real_record_keys_out(struct tls13 *tls, const uint8_t *secret);
void __wrap_record_keys_out(struct tls13 *tls, const uint8_t *secret);
bool __real_tls13_export(const struct tls13 *tls, const char *label, struct bytes context,
                         uint8_t *out, size_t len);
bool __wrap_tls13_export(const struct tls13 *tls, const char *label, struct bytes context,
                         uint8_t *out, size_t len);

size_t __wrap_share_make(struct tls13 *tls, unsigned group, uint8_t out[POINT_MAX])
{
    const size_t len = __real_share_make(tls, group, out);

    note(SCALAR, tls->scalar, group == BR_EC_secp521r1 ? 66 : group == BR_EC_secp384r1 ? 48 : 32);
    return len;
}

size_t __wrap_share_agree(const struct tls13 *tls, struct view share, uint8_t out[POINT_MAX])
{
    const size_t len = __real_share_agree(tls, share, out);

    note(SHARED, out, len);
    return len;
}

void __wrap_schedule_begin(struct tls13 *tls, const uint8_t *psk)
{
    __real_schedule_begin(tls, psk);
    note(EARLY, tls->secret, tls->hash_len);
}

void __wrap_schedule_handshake(struct tls13 *tls, const uint8_t *shared, size_t len)
{
    __real_schedule_handshake(tls, shared, len);
    note(SECRET, tls->secret, tls->hash_len);
    note(OURS, tls->ours, tls->hash_len);
    note(THEIRS, tls->theirs, tls->hash_len);
}

void __wrap_schedule_application(struct tls13 *tls)
{
    __real_schedule_application(tls);
    note(SECRET, tls->secret, tls->hash_len);
    note(OUR_DATA, tls->next_ours, tls->hash_len);
    note(THEIR_DATA, tls->theirs, tls->hash_len);
    note(EXPORTER, tls->exporter, tls->hash_len);
}

void __wrap_schedule_resumption(struct tls13 *tls)
{
    __real_schedule_resumption(tls);
    note(RESUMPTION, tls->resumption, tls->hash_len);
}

void __wrap_schedule_ticket(const struct tls13 *tls, const uint8_t *nonce, size_t len, uint8_t *out)
{
    __real_schedule_ticket(tls, nonce, len, out);
    note(TICKET, out, tls->hash_len);
}

void __wrap_schedule_update(const struct tls13 *tls, uint8_t *secret)
{
    __real_schedule_update(tls, secret);
    note(secret == tls->ours ? OUR_DATA : THEIR_DATA, secret, tls->hash_len);
}

void __wrap_record_keys_in(struct tls13 *tls, const uint8_t *secret)
{
    __real_record_keys_in(tls, secret);
    stop_by_state(tls);
}

void __wrap_record_keys_out(struct tls13 *tls, const uint8_t *secret)
{
    __real_record_keys_out(tls, secret);
    stop_by_state(tls);
}

bool __wrap_tls13_export(const struct tls13 *tls, const char *label, struct bytes context,
                         uint8_t *out, size_t len)
{
    const bool done = __real_tls13_export(tls, label, context, out, len);

    stop(OPEN);
    return done;
}
