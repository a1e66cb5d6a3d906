// SPDX-License-Identifier: Apache-2.0
// Asks the enclave for a watermark with libcurl (7.85 or later) and the identity that mtls-agent
// installed: once, or again and again (`watermark SECONDS`, the pause in between).
#define _GNU_SOURCE
#include "installed_set.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct enclave {
    const char *directory, *url;
    struct installed_set set;
    CURL *curl; /* with the connections of this set */
    char reason[CURL_ERROR_SIZE];
};

static struct curl_blob blob(struct installed_file *file)
{
    return (struct curl_blob){.data = file->bytes, .len = file->size, .flags = CURL_BLOB_NOCOPY};
}

/* A handle that shows the leaf of the set, and trusts its CA alone. */
static CURL *new_handle(struct enclave *enclave)
{
    struct curl_blob cert = blob(&enclave->set.cert), key = blob(&enclave->set.key),
                     ca = blob(&enclave->set.ca);
    CURL *curl = curl_easy_init();
    if (curl && (curl_easy_setopt(curl, CURLOPT_URL, enclave->url) ||
                 curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &cert) ||
                 curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key) ||
                 curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca) ||
                 curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) ||
                 curl_easy_setopt(curl, CURLOPT_PROXY, "") ||
                 curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") ||
                 curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L) ||
                 curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) ||
                 curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) ||
                 curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, enclave->reason))) {
        curl_easy_cleanup(curl);
        curl = NULL;
    }
    return curl;
}

/* After a rotation, the next request goes out with the new identity, and the connections of the one
 * before end. */
static int follow(struct enclave *enclave)
{
    int found = installed_set_follow(&enclave->set, enclave->directory);
    if (found < 0) {
        snprintf(enclave->reason, sizeof enclave->reason, "%s: %s", enclave->directory,
                 strerror(errno));
        return -1;
    }
    if (found == 0 && enclave->curl)
        return 0;
    curl_easy_cleanup(enclave->curl);
    enclave->curl = new_handle(enclave);
    if (enclave->curl)
        return 0;
    snprintf(enclave->reason, sizeof enclave->reason, "libcurl cannot be set up");
    return -1;
}

/* Writes an answer 200 to standard output. */
static int ask(struct enclave *enclave)
{
    enclave->reason[0] = 0;
    if (follow(enclave) < 0)
        return -1;
    CURLcode code = curl_easy_perform(enclave->curl);
    if (code != CURLE_OK && !enclave->reason[0])
        snprintf(enclave->reason, sizeof enclave->reason, "%s", curl_easy_strerror(code));
    fflush(stdout);
    return code == CURLE_OK ? 0 : -1;
}

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

int main(int argc, char **argv)
{
    static struct enclave enclave;
    char url[1024];
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0;
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    snprintf(url, sizeof url, "%s/api/watermark",
             environment("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000"));
    enclave.directory = environment("CERT_DIR", "/etc/ecs/mtls");
    enclave.url = url;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = ask(&enclave);
    while (!failed && argc > 1) {
        nanosleep(&pause, NULL);
        failed = ask(&enclave);
    }
    if (failed)
        fprintf(stderr, "watermark: %s\n", enclave.reason);
    curl_easy_cleanup(enclave.curl);
    explicit_bzero(&enclave, sizeof enclave);
    curl_global_cleanup();
    return failed ? 1 : 0;
}
