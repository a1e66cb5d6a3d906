/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json_write.h"
#include "base/secrecy.h"

enum { WIDTH = 80, INDENT = 2, LABEL = 12 };

static const struct room {
    const char *name;
    void (*examine)(struct doctor *doctor);
    bool early, secret;
} rooms[DOCTOR_ROOMS] = {
    {"config", doctor_config, true, false},     {"host", doctor_host, true, false},
    {"target", doctor_target, true, false},     {"files", doctor_files, true, false},
    {"names", doctor_names, false, false},      {"aws", doctor_aws, false, true},
    {"identity", doctor_identity, false, true}, {"enclave", doctor_enclave, false, true},
    {"run", doctor_run, false, false},
};

void doctor_examine(struct doctor *doctor, bool early)
{
    size_t i;

    for (i = 0; i < DOCTOR_ROOMS; i++) {
        doctor->room = i;
        if (rooms[i].early != early)
            continue;
        if (rooms[i].secret && !doctor->locks)
            doctor_say(doctor, "not checked: no memory can be locked for a secret");
        else
            rooms[i].examine(doctor);
    }
}

void doctor_check_config(struct doctor *doctor)
{
    doctor_config(doctor);
    doctor_memory(doctor);
}

/* What keeps another user from looking, where root would not be kept; the configuration is read by
 * whoever asks. */
static bool is_roots(const struct err *err)
{
    return err->code >= ERR_TARGET_INVALID && geteuid() != 0 &&
           strstr(err->reason, strerror(EACCES));
}

static bool is_of_dates(const struct err *err)
{
    return err->code == ERR_CERTIFICATE_EXPIRED || err->code == ERR_CERTIFICATE_NOT_YET_VALID ||
           err->code == ERR_CERTIFICATE_ENDS || err->cause == CAUSE_CA_EXPIRED ||
           err->cause == CAUSE_ENCLAVE_DATES;
}

/* Each thing is told of by itself; that the time is up, once. */
static bool is_same(const struct err *a, const struct err *b)
{
    return a->code == b->code && strcmp(a->reason, b->reason) == 0 &&
           (a->code == ERR_DEADLINE || strcmp(a->subject, b->subject) == 0);
}

static void keep_finding(struct doctor *doctor, enum doctor_level level, const struct err *err,
                         const char *remedy)
{
    const size_t count = atomic_load(&doctor->count);
    struct doctor_finding *finding = &doctor->findings[count];
    size_t i;

    for (i = 0; i < count; i++)
        if (is_same(&doctor->findings[i].err, err))
            return;
    if (count == DOCTOR_FINDINGS_MAX)
        return;
    if (count + 1 == DOCTOR_FINDINGS_MAX)
        remedy = "Mend these first: there may be more.";
    finding->level = level;
    finding->room = rooms[doctor->room].name;
    finding->err = *err;
    (void)snprintf(finding->remedy, sizeof finding->remedy, "%s", remedy);
    atomic_store(&doctor->count, count + 1);
}

/* At the deadline main finds that, while the job may still be at work. */
static void add(struct doctor *doctor, enum doctor_level level, const struct err *err,
                const char *remedy)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    if (is_roots(err)) {
        doctor_say(doctor, "only root can tell of %s", err->subject);
        return;
    }
    if (doctor->clock_off && is_of_dates(err)) {
        doctor_say(doctor, "the clock is too wrong to judge dates by: %s", err->subject);
        return;
    }
    pthread_mutex_lock(&mutex);
    keep_finding(doctor, level, err, remedy);
    pthread_mutex_unlock(&mutex);
}

void doctor_find(struct doctor *doctor, enum doctor_level level, const struct err *err)
{
    add(doctor, level, err, err_remedy(err));
}

void doctor_advise(struct doctor *doctor, enum doctor_level level, const struct err *err,
                   const char *format, ...)
{
    char remedy[DOCTOR_REMEDY_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(remedy, sizeof remedy, format, arguments);
    va_end(arguments);
    add(doctor, level, err, remedy);
}

void doctor_say(struct doctor *doctor, const char *format, ...)
{
    char *good = doctor->good[doctor->room];
    size_t len = strlen(good);
    va_list arguments;

    if (len > 0 && len < DOCTOR_GOOD_MAX)
        len += (size_t)snprintf(good + len, DOCTOR_GOOD_MAX - len, "; ");
    if (len >= DOCTOR_GOOD_MAX)
        return;
    va_start(arguments, format);
    len += (size_t)vsnprintf(good + len, DOCTOR_GOOD_MAX - len, format, arguments);
    va_end(arguments);
    if (len >= DOCTOR_GOOD_MAX)
        memcpy(good + DOCTOR_GOOD_MAX - sizeof "...", "...", sizeof "...");
}

static bool is_about(const struct err *err, const char *subject)
{
    const size_t len = strlen(err->subject);

    return !subject || (len > 0 && strncmp(err->subject, subject, len) == 0 &&
                        (!subject[len] || subject[len] == '/'));
}

bool doctor_found(const struct doctor *doctor, enum err_code code, const char *subject)
{
    size_t i, count = atomic_load(&doctor->count);

    for (i = 0; i < count; i++)
        if (doctor->findings[i].level == DOCTOR_PROBLEM &&
            (code == ERR_NONE || doctor->findings[i].err.code == code) &&
            is_about(&doctor->findings[i].err, subject))
            return true;
    return false;
}

/* Words between a label and the margin; one that is longer than a line, as what is to be pasted may
 * be, has a line for itself. */
static void put_text(struct buf *out, const char *label, const char *raw)
{
    char shown[ERR_REASON_MAX + DOCTOR_GOOD_MAX], head[INDENT + LABEL + 2];
    const char *text = shown;
    size_t at = INDENT + LABEL;

    (void)snprintf(shown, sizeof shown, "%s", raw);
    secrecy_mask(shown, sizeof shown);
    (void)snprintf(head, sizeof head, "%*s%-*s", INDENT, "", LABEL, label);
    (void)buf_append_text(out, head);
    while (*text) {
        const size_t len = strcspn(text, " \n");

        if (at > INDENT + LABEL && at + 1 + len > WIDTH) {
            (void)snprintf(head, sizeof head, "\n%*s", INDENT + LABEL, "");
            (void)buf_append_text(out, head);
            at = INDENT + LABEL;
        } else if (at > INDENT + LABEL) {
            (void)buf_append_text(out, " ");
            at++;
        }
        (void)buf_append(out, text, len);
        at += len;
        text += len;
        text += strspn(text, " \n");
    }
    (void)buf_append_text(out, "\n");
}

char *doctor_read(const char *path, struct buf *text)
{
    text->len = 0;
    return fs_read(AT_FDCWD, path, text) == 0 && buf_append(text, "", 1) == 0 ? (char *)text->data
                                                                              : NULL;
}

static const char *level_name(enum doctor_level level)
{
    return level == DOCTOR_PROBLEM ? "problem" : "warning";
}

static void print_text(const struct doctor *doctor, size_t count, struct buf *out)
{
    char head[128];
    size_t i;
    int level;

    for (level = DOCTOR_PROBLEM; level <= DOCTOR_WARNING; level++) {
        for (i = 0; i < count; i++) {
            const struct doctor_finding *finding = &doctor->findings[i];

            if ((int)finding->level != level)
                continue;
            (void)snprintf(head, sizeof head, "%s %s: %s\n", level_name(finding->level),
                           err_info(finding->err.code)->name, err_info(finding->err.code)->what);
            (void)buf_append_text(out, head);
            if (finding->err.subject[0])
                put_text(out, "on", finding->err.subject);
            put_text(out, "because", finding->err.reason);
            put_text(out, "do", finding->remedy);
            (void)buf_append_text(out, "\n");
        }
    }
    (void)buf_append_text(out, count > 0 ? "looked at\n" : "nothing is wrong\n");
    for (i = 0; i < DOCTOR_ROOMS; i++)
        if (doctor->good[i][0])
            put_text(out, rooms[i].name, doctor->good[i]);
}

static void print_json(const struct doctor *doctor, size_t count, struct buf *out)
{
    struct json_writer writer = {.out = out};
    size_t i;
    int level;

    json_open(&writer, NULL, '{');
    json_put_bool(&writer, "good", count == 0);
    json_open(&writer, "findings", '[');
    for (level = DOCTOR_PROBLEM; level <= DOCTOR_WARNING; level++) {
        for (i = 0; i < count; i++) {
            const struct doctor_finding *finding = &doctor->findings[i];

            if ((int)finding->level != level)
                continue;
            json_open(&writer, NULL, '{');
            json_put_text(&writer, "level", level_name(finding->level));
            json_put_text(&writer, "room", finding->room);
            json_put_text(&writer, "code", err_info(finding->err.code)->name);
            json_put_text(&writer, "cause", err_cause(&finding->err));
            json_put_text(&writer, "what", err_info(finding->err.code)->what);
            json_put_text(&writer, "subject", finding->err.subject);
            json_put_text(&writer, "reason", finding->err.reason);
            json_put_text(&writer, "remedy", finding->remedy);
            json_close(&writer, '}');
        }
    }
    json_close(&writer, ']');
    json_open(&writer, "rooms", '{');
    for (i = 0; i < DOCTOR_ROOMS; i++)
        if (doctor->good[i][0])
            json_put_text(&writer, rooms[i].name, doctor->good[i]);
    json_close(&writer, '}');
    json_close(&writer, '}');
    (void)buf_append_text(out, "\n");
}

bool doctor_write(const struct doctor *doctor, bool json, struct buf *out)
{
    const size_t count = atomic_load(&doctor->count);

    if (json)
        print_json(doctor, count, out);
    else
        print_text(doctor, count, out);
    return count == 0;
}
