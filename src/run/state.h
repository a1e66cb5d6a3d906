/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICE_STATE_H
#define SERVICE_STATE_H

#include <stdatomic.h>

#include "agent/agent.h"
#include "base/aside.h"
#include "base/buf.h"
#include "base/log.h"
#include "hook/hook.h"
#include "process/process.h"
#include "run/expiry.h"
#include "run/schedule.h"
#include "run/sd_notify.h"
#include "run/survey.h"
#include "run/watch.h"

struct history;
struct metrics;

/* What the parts of the service share. While a job runs the agent, the surveys and the watch are
 * the job's; all else is main's, and main takes over what the job found when it is over. */

/* What a job does. */
enum duty { DUTY_NONE, DUTY_SURVEY, DUTY_CYCLE, DUTY_PROBE };

#define SERVICE_PATH_MAX 1280

struct service_set {
    struct survey survey;         /* as of the last job */
    enum outcome outcome;         /* of the last cycle, or of a roll-back since */
    struct err err;               /* its error */
    char left[INSTALL_NAME_SIZE]; /* the set that was installed after that */
    char told[INSTALL_NAME_SIZE]; /* the last set that was told of */
    int64_t fetched_at;           /* the end of the last cycle, seconds since 1970; 0: none yet */
    int64_t succeeded_at;         /* of the last one in which AWS told what is installed */
    struct expiry leaf, ca;
    int64_t rehearsed_at; /* when enclaves were last asked before an install; 0: not of late */
    size_t accepted;      /* endpoints, in the last round of probes */
    bool asked;           /* there was one, and it asked them */
    struct err told_err;  /* why nobody could be told of it; ERR_NONE: all is well */
    struct schedule tell_schedule;
    int64_t tell_at; /* nobody is told before, on clock_ms() */
};

/* A configuration that is read again, aside, and what comes of it. */
struct reading {
    const struct config *before;
    struct config *config; /* the new one; after a failure, what nobody came to fetch */
    struct err err;
};

struct service {
    const struct config *config;
    struct config *reloaded; /* the same, where it is ours; NULL: main's */
    int64_t started_at;      /* seconds since 1970 */
    struct process process;
    struct agent agent;
    struct job job;
    enum duty busy;
    int64_t busy_since; /* on clock_ms() */
    int64_t job_at;     /* no job before, since none could be started */
    struct watch watch;
    struct survey surveys[CONFIG_SETS_MAX];
    struct service_set sets[CONFIG_SETS_MAX];
    struct history *histories; /* one for each endpoint */
    struct log_memory cycle_log, probe_log;
    struct metrics *metrics;
    size_t refusals, dropped;   /* of the sandbox, and lines of the log, as the metrics know them */
    struct aside output, files; /* what is published there may hang; */
    struct aside notes, reader; /* so may locks and notes of the target, and the configuration */
    struct reading reading;
    struct buf unread;  /* EMF that nobody has read yet, */
    atomic_size_t read; /* but for so many bytes */
    int64_t publish_at; /* on clock_ms(), whatever else happens until then */

    struct schedule schedule;
    int64_t cycle_at, probe_at; /* on clock_ms() */
    int64_t floor_at;           /* no cycle before */
    bool refresh;               /* a cycle as soon as the floor allows */
    bool reload;                /* SIGHUP came */
    bool reloading;             /* and who sent it waits for the end of a cycle */

    struct hook hook;
    size_t telling;        /* the set that is told of now; CONFIG_SETS_MAX: none */
    int telling_claim;     /* what keeps other agents from telling of it as well */
    int claimed;           /* how that was got, of enum tell_claim: aside */
    size_t told_last;      /* the last one tried: none waits for ever behind one that fails */
    struct survey told_of; /* as it was then */
    int64_t tell_until;    /* on clock_ms(): then the runner hangs */

    struct sd_notify notify;
    int64_t watchdog_at, extend_at; /* on clock_ms() */
    int timer, wall;                /* timerfd: the schedule; the wall clock, and its jumps */
    int lock;                       /* that there is one agent for a directory */
    int target;                     /* that directory */
    bool surveyed;                  /* what was there at the start is known */
    const char *homeless; /* what became of target or lock, as the last job found; else NULL */
    bool ready;           /* every set was valid once */
    bool announce;        /* and who started or reloaded the agent has to be told */
    bool stop;            /* it ends, with this exit status: */
    int status;

    char status_path[SERVICE_PATH_MAX];
    char unwritten[SERVICE_PATH_MAX]; /* why status or metrics cannot be written; "": they can */
};

/* What a set is called: its subdirectory, else the directory. */
const char *service_set_name(const struct service *service, size_t set);
/* Where it goes. */
struct install_target service_target(const struct service *service, size_t set, int64_t deadline);
/* What an endpoint has attested, as long as that says something of now. */
enum err_code service_attestation(const struct service *service, size_t endpoint);

/* Ends the service for what cannot be mended. */
void service_fail(struct service *service, const struct err *err);

/* duties.c: what is to be done now, and what comes of it. */
void duties_start(struct service *service);
int64_t duties_next(const struct service *service); /* on clock_ms() */
void duties_finish(struct service *service);

/*
 * telling.c: one set at a time, by the hook's runner. telling_start() has it tell of the next one
 * that is due; telling_take() takes its answer; telling_check() ends the service where there is
 * none in time. telling_next(): when one of them has something to do, on clock_ms().
 */
void telling_start(struct service *service, int64_t now);
void telling_take(struct service *service);
void telling_check(struct service *service, int64_t now);
int64_t telling_next(const struct service *service);

/*
 * alarm.c: the wall clock. alarm_check() tells of certificates that come to their end, and has
 * itself called again when the next one does. alarm_take(): the clock was set, or it is time.
 */
void alarm_check(struct service *service);
void alarm_take(struct service *service);
void alarm_set(int timer, int64_t ms, int flags); /* of any timerfd, to a moment of its clock */

/* reload.c: SIGHUP, once no job runs. */
void service_reload(struct service *service);
int service_size(struct service *service, struct err *err); /* room for the endpoints */

/*
 * publish.c: tells status file, metrics and service manager how it is: after each thing that was
 * done, and each PUBLISH_MS, so that whoever looks knows that the agent lives.
 */
#define PUBLISH_MS INT64_C(240000) /* below the five minutes that alarms look at */
void publish(struct service *service);
void publish_begin(const struct service *service); /* for a new configuration */
/* An observer of the log, for the metrics: it knows endpoints by the form that these have. */
void publish_event(void *user, const char *event, const struct log_field *fields);
void publish_log(const struct service *service); /* SIGUSR1 */

#endif
