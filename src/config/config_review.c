/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "config/options.h"

enum { HEADROOM = 2 }; /* cycles that may fail before a healthcheck does */

struct review {
    const struct config *config;
    config_told *told;
    void *user;
};

static void tell(const struct review *review, bool wrong, const char *option, const char *why)
{
    if (wrong)
        review->told(review->user, option, why);
}

/* Each is asked for itself: twice by what leads to the same place. */
static void review_endpoints(const struct review *review)
{
    const struct endpoint *all = review->config->endpoints;
    char why[sizeof all->text + 64];
    size_t i, j;

    for (i = 0; i < review->config->endpoint_count; i++) {
        for (j = 0; j < i; j++) {
            if (strcmp(all[i].label, all[j].label) != 0 || strcmp(all[i].path, all[j].path) != 0)
                continue;
            (void)snprintf(why, sizeof why, "%s stands there twice", all[i].text);
            review->told(review->user, "endpoint", why);
            break;
        }
    }
}

/* Bits for reading of those whom the directory's mode does not let pass. */
static bool is_shut_out(mode_t file, mode_t directory)
{
    return (file & 0040 && !(directory & 0010)) || (file & 0004 && !(directory & 0001));
}

void config_review(const struct config *config, config_told *told, void *user)
{
    const struct review review = {config, told, user};

    if (config->file_ignored)
        told(user, config->file_ignored, "is not read, since another file comes first");
    config_env_review(told, user);
    review_endpoints(&review);
    tell(&review, is_shut_out(config->key_mode, config->dir_mode), "key-mode",
         "is wider than dir-mode: readers of the key cannot get to it");
    tell(&review, is_shut_out(config->cert_mode, config->dir_mode) && config->dir_mode != 0700,
         "cert-mode", "is wider than dir-mode: readers of certificates cannot get to them");
    tell(&review,
         config->max_fetch_age_ms && config->max_fetch_age_ms < HEADROOM * config->interval_ms,
         "max-fetch-age", "is less than two of interval: healthcheck fails between two cycles");
    tell(&review, config->on_change_exec[0] && config->on_change_timeout_ms > config->deadline_ms,
         "on-change-timeout", "is more than deadline, with which fetch ends");
    tell(&review, config->ca_overlap_ms && config->ca_overlap_ms < config->interval_ms,
         "ca-overlap", "is less than interval: an anchor is gone before all hosts have looked");
    tell(&review, config->endpoint_count > 0 && config->rehearse == REHEARSE_OFF, "rehearse",
         "is off: what the endpoints would refuse is installed");
    tell(&review, config->attest == ATTEST_OFF && config->attest_pcr_count > 0, "attest-pcr",
         "names images, and nobody is asked: set attest");
    tell(&review,
         config->no_proxy && !config->proxy && !config_variable(config, "https_proxy") &&
             !config_variable(config, "HTTPS_PROXY"),
         "no-proxy", "excepts hosts from a proxy, but there is none");
    tell(&review, config->metrics_emf && !config->metrics_file, "metrics-format",
         "makes a metrics-file too, and none is named: lines go only to standard output");
}

static size_t put(char *out, size_t len, const char *before, const char *text)
{
    return len + (size_t)snprintf(len < CONFIG_SOURCES_MAX ? out + len : NULL,
                                  len < CONFIG_SOURCES_MAX ? CONFIG_SOURCES_MAX - len : 0, "%s%s",
                                  before, text);
}

void config_sources(const struct config *config, char out[CONFIG_SOURCES_MAX])
{
    const struct store *store = (const struct store *)config;
    const char *const places[] = {[SOURCE_FLAGS] = "flags",
                                  [SOURCE_ENVIRONMENT] = "variables",
                                  [SOURCE_FILE] = config->file ? config->file : ""};
    size_t i, len = 0;
    int source;

    out[0] = '\0';
    for (source = SOURCE_FLAGS; source <= SOURCE_FILE; source++) {
        const char *before = len ? "; " : "";
        const size_t start = len;

        for (i = 0; i < option_count; i++) {
            if ((int)store->set_by[i] != source || options[i].flags & OPTION_FILE_ONLY)
                continue;
            len = put(out, len, before, options[i].name);
            before = ", ";
        }
        if (len > start)
            len = put(out, len, " by ", places[source]);
    }
}
