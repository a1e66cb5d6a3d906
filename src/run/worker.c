/* SPDX-License-Identifier: Apache-2.0 */
#include "run/worker.h"

#include <errno.h>
#include <sys/stat.h>

#include "agent/target.h"
#include "base/clock.h"
#include "config/config.h"
#include "process/confine.h"

enum { RESTART_MS = 1000 };

/* ---- on the arena's stack, where files may hang ---- */

/*
 * What became of the directory, or of the file of the lock: what the sandbox allows went with it,
 * and nobody can tell any more that this agent lives. A path that leads to another directory now,
 * one that was made anew or mounted over it, is out of the sandbox's reach as well. NULL: nothing.
 */
static const char *homeless(const struct worker *worker)
{
    const struct install_target target = agent_target(worker->agent.config, "", 0);
    char path[INSTALL_WHERE_MAX];
    struct stat held, lock, named;

    if (fstat(worker->target, &held) < 0 || fstat(worker->lock, &lock) < 0)
        return NULL;
    if (held.st_nlink == 0 || lock.st_nlink == 0)
        return "removed";
    (void)install_where(&target, path);
    if (stat(path, &named) < 0)
        return errno == ENOENT || errno == ENOTDIR ? "removed" : NULL;
    return named.st_dev != held.st_dev || named.st_ino != held.st_ino ? "replaced, or mounted over"
                                                                      : NULL;
}

static int work(void *argument)
{
    struct worker *worker = argument;
    const struct config *config = worker->agent.config;
    const int64_t deadline = worker->job.deadline;
    int status = 0;
    size_t i;

    confine_job(config, worker->starting);
    if (worker->busy == WORK_CYCLE) {
        log_remember(&worker->cycle_log);
        status = agent_cycle(&worker->agent, deadline);
    } else if (worker->busy == WORK_PROBE) {
        log_remember(&worker->probe_log);
        watch_round(&worker->watch, &worker->agent, deadline);
    }
    for (i = 0; i < config->set_count; i++) {
        const struct install_target target = agent_target(config, config->sets[i].sub, deadline);

        target_state_read(&target, &config->sets[i], &worker->states[i]);
        watch_settle(&worker->watch, i, &worker->states[i]);
    }
    worker->homeless = homeless(worker);
    log_remember(NULL);
    return status;
}

/* ---- on main's ---- */

bool worker_start(struct worker *worker, enum work_kind kind)
{
    struct err err;

    worker->busy = kind;
    worker->since = clock_ms();
    worker->job.function = work;
    worker->job.argument = worker;
    worker->job.deadline = worker->since + worker->agent.config->deadline_ms;
    if (job_start(&worker->job, &err) == 0) {
        worker->retry_at = 0;
        return true;
    }
    if (worker->retry_at == 0)
        log_error(&err);
    worker->retry_at = clock_ms() + RESTART_MS;
    worker->busy = WORK_NONE;
    return false;
}

int worker_finish(struct worker *worker, struct err *err)
{
    const int result = job_finish(&worker->job, err);

    worker->busy = WORK_NONE;
    if (result < 0 || !worker->homeless)
        return result;
    return err_set(err, ERR_TARGET_INVALID, worker->agent.config->dir, "it was %s: start again",
                   worker->homeless);
}
