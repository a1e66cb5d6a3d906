/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent without its sandbox, which would not let it stop, write what a test asks for, or do
 * what sanitizers do.
 */
#include "process/confine.h"
#include "process/lookout.h"

void __wrap_confine(const struct config *config, const struct confine_options *options);
void __wrap_confine_job(const struct config *config, bool starting);

void __wrap_confine(const struct config *config, const struct confine_options *options)
{
    (void)config;
    (void)options;
    lookout_end();
}

void __wrap_confine_job(const struct config *config, bool starting)
{
    (void)config;
    (void)starting;
}
