/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/doctor.h"
#include "hook/hook.h"
#include "run/sd_notify.h"

enum { COMMAND_MAX = 1024, STEM_MAX = 64 };

static void look_at_program(struct doctor *doctor)
{
    const char *program = doctor->config->on_change_exec[0];
    char why[HOOK_REASON_MAX];
    const char *remedy;
    bool rights;
    struct err err;

    if (!program)
        return;
    if (hook_could(program, why) == 0) {
        doctor_say(doctor, "%s can be run after a change", program);
        return;
    }
    rights = errno == EPERM || errno == EACCES;
    remedy = rights             ? " && chmod 0755 "
             : errno == ENOTSUP ? "; move it to a mount without noexec"
             : errno == ENOEXEC ? "; a script begins with #! and its interpreter"
                                : "; what is missing has to be on this host, but for a program "
                                  "that is linked statically";
    (void)err_set(&err, ERR_HOOK_FAILED, program, "it cannot be executed: %s", why);
    doctor_advise(doctor, DOCTOR_PROBLEM, &err, "Run: %s %s%s%s. Or correct --on-change-exec.",
                  rights ? "chown root" : "ls -lL", program, remedy, rights ? program : "");
}

/* What a process is called, and how it was started, as one text. */
static void read_command(pid_t pid, char out[COMMAND_MAX])
{
    static const char *const files[] = {"comm", "cmdline"};
    size_t i, len = 0;
    char path[64];

    for (i = 0; i < 2; i++) {
        int fd;
        ssize_t n;

        (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? 0 : read(fd, out + len, COMMAND_MAX - 1 - len);
        if (fd >= 0)
            (void)close(fd);
        for (; n > 0; n--, len++)
            if ((unsigned char)out[len] <= ' ')
                out[len] = ' ';
    }
    out[len] = '\0';
}

/* "/run/nginx.pid" is of something that says nginx of itself; "/run/x/server.pid" may be of any. */
static bool is_namesake(const char *command, const char *pid_file, char stem[STEM_MAX])
{
    static const char any[] = " pid app daemon main master server ";
    const char *name = strrchr(pid_file, '/') + 1;
    char word[STEM_MAX + 2];
    const size_t len = strcspn(command, " ");

    (void)snprintf(stem, STEM_MAX, "%.*s", (int)strcspn(name, "."), name);
    (void)snprintf(word, sizeof word, " %s ", stem);
    if (!*command || !*stem || strstr(any, word) || strcasestr(command, stem))
        return true;
    (void)snprintf(word, sizeof word, "%.*s", (int)len, command);
    return len > 0 && strcasestr(stem, word);
}

/* A number that another process has by now would be signalled all the same. */
static void look_at_name(struct doctor *doctor, const struct hook_signal *signal, pid_t pid)
{
    char command[COMMAND_MAX], stem[STEM_MAX];
    struct err err;

    read_command(pid, command);
    if (!signal->pid_file || is_namesake(command, signal->pid_file, stem)) {
        doctor_say(doctor, "SIG%s finds process %ld", signal->name, (long)pid);
        return;
    }
    (void)err_set(&err, ERR_HOOK_FAILED, signal->pid_file,
                  "process %ld is %.*s, and nothing of its command line says %s: the number may "
                  "be another's by now",
                  (long)pid, (int)strcspn(command, " "), command, stem);
    doctor_advise(doctor, DOCTOR_WARNING, &err,
                  "See: ps -fp %ld. Start the one that is to be told anew, so that it writes its "
                  "number, or correct --on-change-signal.",
                  (long)pid);
}

/* Where the agent is root's, what root may signal is not known to others. */
static bool is_roots(const struct doctor *doctor)
{
    char path[1536];
    struct stat status;

    (void)snprintf(path, sizeof path, "%s%s", doctor->config->root, doctor->config->dir);
    return geteuid() != 0 && (stat(path, &status) < 0 || status.st_uid != geteuid());
}

static void look_at_signal(struct doctor *doctor, const struct change_signal *change)
{
    const struct hook_signal signal = {change->number, change->name, change->pid, change->pid_file};
    char why[HOOK_REASON_MAX], number[32];
    const char *whom = change->pid_file ? change->pid_file : number;
    const pid_t pid = hook_signal_could(&signal, why);
    struct err err;

    (void)snprintf(number, sizeof number, "process %ld", (long)change->pid);
    if (pid > 0) {
        look_at_name(doctor, &signal, pid);
    } else if (pid < 0 && strstr(why, strerror(EPERM)) && is_roots(doctor)) {
        doctor_say(doctor, "only root can tell of SIG%s", change->name);
    } else if (pid < 0) {
        (void)err_set(&err, ERR_HOOK_FAILED, whom, "%s", why);
        doctor_advise(doctor, DOCTOR_PROBLEM, &err,
                      "Let the agent signal it, as root with CAP_KILL or as its user; let the file "
                      "be root's or that user's and hold its number; or correct "
                      "--on-change-signal.");
    } else {
        (void)err_set(&err, ERR_HOOK_FAILED, whom, "%s: SIG%s would reach nobody",
                      access(whom, F_OK) < 0 && change->pid_file ? "there is no such file"
                                                                 : "no such process runs",
                      change->name);
        doctor_advise(doctor, DOCTOR_WARNING, &err,
                      "Start the one that is to be told, or correct --on-change-signal.");
    }
}

/* Of the service manager: as far as this process was started as run is. */
static void look_at_manager(struct doctor *doctor)
{
    const char *variable;
    const char *flaw = sd_notify_flaw(&variable);
    struct err err;

    if (!flaw)
        return;
    (void)err_set(&err, ERR_RUN_UNHEALTHY, variable, "%s: %s", getenv(variable), flaw);
    doctor_advise(doctor, DOCTOR_PROBLEM, &err,
                  "In the unit: Type=notify, NotifyAccess=main, WatchdogSec=60. Outside of one: "
                  "unset NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID.");
}

void doctor_change(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    size_t i;

    look_at_program(doctor);
    for (i = 0; i < config->on_change_signal_count; i++)
        look_at_signal(doctor, &config->on_change_signals[i]);
    look_at_manager(doctor);
}
