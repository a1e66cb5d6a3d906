/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/target.h"
#include "doctor/doctor.h"
#include "hook/hook.h"
#include "run/sd_notify.h"

enum { STEM_MAX = 64, COMMAND_MAX = 4096 };

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
             : errno == ENOEXEC ? "; a script has to begin with #! and the path of its interpreter"
                                : "; the interpreter or loader that is named has to be on this "
                                  "host, or link the program statically";
    (void)err_set(&err, ERR_HOOK_FAILED, program, "it cannot be executed: %s", why);
    doctor_advise(doctor, DOCTOR_PROBLEM, &err, "Run: %s %s%s%s. Or correct --on-change-exec.",
                  rights ? "chown root" : "ls -lL", program, remedy, rights ? program : "");
}

/* "/run/nginx.pid" is of one that says nginx of itself; "/run/x/server.pid" may be of any. command:
 * len bytes of words, each with a NUL. */
static bool is_namesake(const char *command, size_t len, const char *stem)
{
    const char *slash = strrchr(command, '/');
    size_t i;

    if (strstr(" pid app daemon main master server ", stem) ||
        strcasestr(stem, slash ? slash + 1 : command))
        return true;
    for (i = 0; i < len; i += strlen(command + i) + 1)
        if (strcasestr(command + i, stem))
            return true;
    return false;
}

/* The beginning of a process's command line, which may be as long as its user likes: its length,
 * with a NUL behind it, or -1. */
static ssize_t read_command(pid_t pid, char out[COMMAND_MAX + 1])
{
    char path[32];
    ssize_t len;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    len = read(fd, out, COMMAND_MAX);
    out[len < 0 ? 0 : len] = '\0';
    (void)close(fd);
    return len;
}

/* Whether a process looks like the one that the file's number is to be of; else why not. */
static bool is_meant(const char *pid_file, pid_t pid, char why[HOOK_REASON_MAX])
{
    char command[COMMAND_MAX + 1], stem[STEM_MAX];
    const char *name = pid_file ? strrchr(pid_file, '/') + 1 : "";
    const ssize_t len = read_command(pid, command);
    bool meant;

    (void)snprintf(stem, sizeof stem, "%.*s", (int)strcspn(name, "."), name);
    meant = len < 0 || is_namesake(command, (size_t)len, stem);
    if (!meant)
        (void)snprintf(why, HOOK_REASON_MAX,
                       "process %ld is %.200s, and its command line does not say %s: the number "
                       "may belong to another process now",
                       (long)pid, command, stem);
    return meant;
}

/* Where the agent is root's, what root may signal is not known to others. */
static bool is_roots(const struct doctor *doctor)
{
    const struct install_target target = agent_target(doctor->config, "", doctor->deadline);
    char path[INSTALL_WHERE_MAX];
    struct stat status;

    (void)install_where(&target, path);
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
    if (pid > 0 && is_meant(change->pid_file, pid, why)) {
        doctor_say(doctor, "SIG%s finds process %ld", change->name, (long)pid);
        return;
    }
    if (pid < 0 && strstr(why, strerror(EPERM)) && is_roots(doctor)) {
        doctor_say(doctor, "only root can tell of SIG%s", change->name);
        return;
    }
    if (pid == 0)
        (void)snprintf(why, sizeof why, "SIG%s would reach nobody: %s", change->name,
                       access(whom, F_OK) < 0 && change->pid_file ? "there is no such file"
                                                                  : "no such process runs");
    (void)err_set(&err, ERR_HOOK_FAILED, whom, "%s", why);
    doctor_advise(doctor, pid < 0 ? DOCTOR_PROBLEM : DOCTOR_WARNING, &err,
                  "%s Or correct --on-change-signal.",
                  pid < 0
                      ? "Let the agent signal it, as root with CAP_KILL or as its user; let the "
                        "file be root's or that user's, and hold its number."
                      : "Start the program to signal, so that it writes its number.");
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
