/* SPDX-License-Identifier: Apache-2.0 */
#include "enclave/pins.h"

#include <errno.h>
#include <fcntl.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "config/config.h"
#include "enclave/attestation.h"

enum { PINS_MODE = 0644, PINS_MAX = 4 << 20, INTERVALS = 2 };

static int put_key(struct buf *out, const struct probe_attested *said, const char *endpoint)
{
    const char *root = said->other_root;

    if (buf_append_text(out, "sha256//") < 0 ||
        base64_encode(out, bytes_of(said->key, sizeof said->key), 0) < 0 ||
        buf_append_text(out, " ") < 0 || buf_append_text(out, endpoint) < 0 ||
        buf_append_text(out, *root ? " root=" : "") < 0 || buf_append_text(out, root) < 0)
        return -1;
    return buf_append_text(out, "\n");
}

static int put_keys(struct buf *out, const struct config *config, const struct attested *attested)
{
    const int64_t since = clock_ms() - INTERVALS * config->attest_interval_ms;
    size_t i, k;

    for (i = 0; i < config->endpoint_count; i++)
        for (k = 0; k < ATTESTED_KEYS; k++) {
            const struct attested_key *key = &attested[i].keys[k];

            if (key->at_ms > 0 && key->at_ms >= since && key->said.code == ERR_NONE &&
                put_key(out, &key->said, config->endpoints[i].text) < 0)
                return -1;
        }
    return 0;
}

void pins_write(const struct config *config, const struct attested *attested)
{
    struct buf text = {.public = true}, before = {.public = true, .max = PINS_MAX};

    if (!config->attest_pins || !attested || config->dry_run)
        return;
    if (put_keys(&text, config, attested) < 0)
        text.len = 0;
    if (text.len > 0 && (fs_read(AT_FDCWD, config->attest_pins, &before) < 0 ||
                         !bytes_equal(buf_bytes(&before), buf_bytes(&text)))) {
        (void)fs_sweep(config->attest_pins);
        if (fs_replace(config->attest_pins, buf_bytes(&text), PINS_MODE) < 0)
            log_event(LOG_LEVEL_WARNING, "pins_unwritten", log_s("file", config->attest_pins),
                      log_s("reason", strerror(errno)));
        else
            log_event(LOG_LEVEL_INFO, "pins_written", log_s("file", config->attest_pins));
    }
    buf_free(&text);
    buf_free(&before);
}
