/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include <string.h>

#include "base/hash.h"
#include "base/secrecy.h"
#include "config/config_values.h"
#include "config/option_setters.h"

#define AT(member) offsetof(struct config, member)
#define FETCHES    (VERB_FETCH | VERB_RUN)
#define ATTESTS    (FETCHES | VERB_PROBE | VERB_ATTEST)

const struct option options[] = {
    {"secret", "[SUB=]SECRET", set_secret, .flags = OPTION_PLAIN | OPTION_LIST | OPTION_OPAQUE,
     .help = "ARN or name of a secret that holds the identity; SUB=ARN installs it into the "
             "subdirectory SUB"},
    {"endpoint", "HOST:PORT", set_endpoint, .flags = OPTION_LIST, .verbs = ATTESTS,
     .help = "an enclave to try the identity on; also [V6]:PORT, NAME@ADDRESS:PORT, "
             "https://HOST[:PORT][/PATH]"},
    {"dir", "DIR", set_text, AT(dir), value_path, .fallback = "/etc/ecs/mtls",
     .flags = OPTION_FIXED, .help = "where the identity is installed"},
    {"root", "DIR", set_text, AT(root), value_root, .fallback = "", .flags = OPTION_FIXED,
     .help = "prefix of dir, such as /.bottlerocket/rootfs"},
    {"writable-dir", "refuse|warn", set_second, AT(writable_dir_accepted), .fallback = "refuse",
     .flags = OPTION_PLAIN, .verbs = FETCHES,
     .help = "where others can rename files in dir: do not install, or only warn"},
    {"lock-dir", "DIR", set_text, AT(lock_dir), value_path, .flags = OPTION_FIXED,
     .help = "lock dir there, instead of in /run/mtls-agent or in dir itself"},
    {"region", "REGION", set_text, AT(region), value_region, .flags = OPTION_OPAQUE,
     .verbs = FETCHES, .help = "AWS region of secrets given by name"},
    {"fallback-region", "REGION", set_texts, AT(fallback_regions), value_region,
     .flags = OPTION_LIST | OPTION_OPAQUE, .verbs = FETCHES,
     .help = "ask for replicas there while the secret's own region cannot be reached"},
    {"profile", "NAME", set_text, AT(profile), value_profile, .flags = OPTION_OPAQUE,
     .verbs = FETCHES, .help = "profile of the AWS config and credentials files"},
    {"role-arn", "ARN", set_text, AT(role_arn), value_role_arn, .flags = OPTION_OPAQUE,
     .verbs = FETCHES, .help = "role to assume with the credentials found"},
    {"role-session-name", "NAME", set_text, AT(role_session_name), value_role_session_name,
     .flags = OPTION_OPAQUE, .verbs = FETCHES, .help = "name of that session in CloudTrail"},
    {"role-external-id", "ID", set_text, AT(role_external_id), value_role_external_id,
     .flags = OPTION_OPAQUE, .verbs = FETCHES, .help = "external ID that the role requires"},
    {"version-stage", "LABEL", set_text, AT(version_stage), value_version_stage,
     .fallback = "AWSCURRENT", .flags = OPTION_OPAQUE, .verbs = FETCHES,
     .help = "version of the secret by its label, such as AWSPENDING"},
    {"version-id", "ID", set_text, AT(version_id), value_version_id, .flags = OPTION_OPAQUE,
     .verbs = FETCHES, .help = "version of the secret by its ID"},
    {"endpoint-url", "URL", set_text, AT(endpoint_url), value_endpoint_url, .verbs = FETCHES,
     .help = "URL of Secrets Manager instead of AWS's own"},
    {"allow-plaintext-endpoint", NULL, set_bool, AT(allow_plaintext_endpoint), .verbs = FETCHES,
     .help = "allow http:// in endpoint-url, to this machine only; keys travel over it"},
    {"proxy", "HOST:PORT", set_text, AT(proxy), value_proxy, .verbs = FETCHES,
     .help = "HTTP proxy on the way to AWS; set its user and password in HTTPS_PROXY "
             "only"},
    {"no-proxy", "HOSTS", set_text, AT(no_proxy), value_no_proxy, .verbs = FETCHES,
     .help = "AWS hosts to reach without the proxy: names, addresses, networks, "
             "separated by commas"},
    {"ca-bundle", "FILE", set_text, AT(ca_bundle), value_ca_bundle, .flags = OPTION_PEM,
     .verbs = FETCHES,
     .help = "trust these CAs for AWS instead of Amazon's; the configuration file may "
             "hold the PEM text itself"},
    {"owner", "UID[:GID]", set_owner, .flags = OPTION_PLAIN,
     .help = "owner of the installed files, by number or name"},
    {"key-mode", "MODE", set_mode, AT(key_mode), .fallback = "0600", .least = "0400",
     .most = "0770", .flags = OPTION_PLAIN | OPTION_SPARE, .verbs = FETCHES | VERB_INSPECT,
     .help = "mode of private keys; 0640 where owner names another group"},
    {"cert-mode", "MODE", set_mode, AT(cert_mode), .fallback = "0644", .least = "0400",
     .most = "0775", .flags = OPTION_PLAIN | OPTION_SPARE, .verbs = FETCHES | VERB_INSPECT,
     .help = "mode of certificates"},
    {"dir-mode", "MODE", set_mode, AT(dir_mode), .fallback = "0755", .least = "0700",
     .most = "0775", .flags = OPTION_PLAIN | OPTION_SPARE, .verbs = FETCHES,
     .help = "mode of directories that the agent creates"},
    {"health-path", "PATH", set_text, AT(health_path), value_request_path, .fallback = "/health",
     .verbs = FETCHES | VERB_PROBE, .help = "path to request from an enclave"},
    {"allow-cn", NULL, set_bool, AT(allow_cn), .verbs = ATTESTS,
     .help = "accept an enclave whose name is only in its certificate's common name"},
    {"allow-not-mutual", NULL, set_bool, AT(allow_not_mutual), .verbs = ATTESTS,
     .help = "accept an enclave that does not ask for a client certificate"},
    {"tls-versions", "1.2,1.3|1.3|1.2", set_choice, AT(tls_versions), .fallback = "1.2,1.3",
     .verbs = ATTESTS,
     .help = "TLS versions for enclaves; of two, the newer one that both sides know"},
    {"tls-suites", "strict|compatible", set_second, AT(compatible_suites), .fallback = "strict",
     .verbs = ATTESTS,
     .help = "strict: ECDHE with AES-GCM or ChaCha20-Poly1305; compatible: with AES-CBC too"},
    {"rehearse", "refuse|require|off", set_choice, AT(rehearse), .fallback = "refuse",
     .verbs = FETCHES,
     .help = "refuse: do not install what an enclave refuses and none accepts; "
             "require: install only what every enclave accepts; off: do not ask"},
    {"if-unreachable", "fail|keep", set_second, AT(keep_if_unreachable), .fallback = "keep",
     .verbs = FETCHES,
     .help = "while AWS cannot be reached, keep a valid installed identity and end "
             "with 0, or fail"},
    {"client-chain", "warn|require", set_second, AT(require_client_chain), .fallback = "warn",
     .verbs = FETCHES | VERB_INSPECT,
     .help = "what to do where ca_cert does not hold the issuer of client_cert"},
    {"attest", "off|report|require", set_choice, AT(attest), .fallback = "off", .verbs = ATTESTS,
     .help = "whether enclaves must prove what they are; report: log the result; "
             "require: count only those that do"},
    {"attest-pcr", "N:HEX[+N:HEX...]", set_texts, AT(attest_pcrs), value_pcrs, .flags = OPTION_LIST,
     .verbs = ATTESTS, .help = "an image that may answer, by its PCR0 and other PCRs"},
    {"attest-profile", "nautilus|nitriding|evervault|opensecret|marlin|generic", set_choice,
     AT(attest_profile), .fallback = "generic", .verbs = ATTESTS,
     .help = "where and how enclaves show their attestation"},
    {"attest-path", "PATH", set_text, AT(attest_path), value_request_path,
     .fallback = "/attestation?nonce={nonce}", .verbs = ATTESTS,
     .help = "generic: path to request the attestation from"},
    {"attest-field", "NAME", set_text, AT(attest_field), value_expected, .verbs = ATTESTS,
     .help = "generic: JSON member that holds the attestation"},
    {"attest-binding", "BINDING", set_binding, AT(attest_binding), .fallback = "spki-sha256",
     .verbs = ATTESTS,
     .help = "generic: what the attestation names of the TLS connection, such as "
             "leaf-sha256"},
    {"attest-max-age", "DURATION", set_duration, AT(attest_max_age_ms), .fallback = "5m",
     .least = "1s", .most = "3h", .verbs = ATTESTS,
     .help = "greatest age of an attestation that no nonce shows to be fresh"},
    {"attest-leeway", "DURATION", set_duration, AT(attest_leeway_ms), .fallback = "60s",
     .least = "0s", .most = "1h", .verbs = ATTESTS,
     .help = "how far in the future the time of an attestation may lie"},
    {"attest-interval", "DURATION", set_duration, AT(attest_interval_ms), .fallback = "15m",
     .least = "100ms", .most = "1d", .verbs = VERB_RUN,
     .help = "run: time between two attestations of an enclave"},
    {"attest-root", "FILE", set_roots, .flags = OPTION_NOT_IN_ENVIRONMENT, .verbs = ATTESTS,
     .help = "trust these attestation roots too: a file of SHA-256 fingerprints that "
             "belongs to root"},
    {"attest-pins", "FILE", set_text, AT(attest_pins), value_path, .verbs = FETCHES | VERB_PURGE,
     .help = "write the attested keys to FILE, for clients to pin"},
    {"attested", NULL, set_bool, AT(attested), .verbs = VERB_HEALTHCHECK,
     .help = "healthcheck: fail unless enclaves are attested"},
    {"at", "TIME", set_time, AT(at), .flags = OPTION_NOT_IN_FILE | OPTION_NOT_IN_ENVIRONMENT,
     .verbs = VERB_ATTEST, .help = "attest: judge the document in a file as of TIME"},
    {"expect-subject", "NAME", set_text, AT(expect_subject), value_expected,
     .verbs = FETCHES | VERB_INSPECT,
     .help = "install only an identity of this subject, \"CN=ECS-Client\", or common "
             "name"},
    {"expect-san", "NAME", set_texts, AT(expect_sans), value_expected, .flags = OPTION_LIST,
     .verbs = FETCHES | VERB_INSPECT,
     .help = "install only an identity whose subjectAltName has this DNS name, IP "
             "address or URI"},
    {"expect-ca", "SHA256", set_expect_ca, .flags = OPTION_LIST, .verbs = FETCHES | VERB_INSPECT,
     .help = "install only an identity whose ca_cert holds no CA but those of these "
             "fingerprints"},
    {"forbid-version", "ID", set_texts, AT(forbidden), value_version_id, .flags = OPTION_LIST,
     .verbs = FETCHES,
     .help = "never install this version of a secret, never go back to it, and do not "
             "keep it in place of another"},
    {"ca-overlap", "DURATION", set_duration, AT(ca_overlap_ms), .fallback = "0s", .least = "0s",
     .most = "7d", .verbs = FETCHES,
     .help = "how long CAs that left ca_cert stay in ca.crt with the new ones"},
    {"dry-run", NULL, set_bool, AT(dry_run), .verbs = FETCHES,
     .help = "try the identity on the enclaves, and install nothing"},
    {"rollback", NULL, set_bool, AT(rollback), .flags = OPTION_NOT_IN_FILE, .verbs = FETCHES,
     .help = "fetch: go back to the previous set, if it passes the rehearsal"},
    {"deadline", "DURATION", set_duration, AT(deadline_ms), .fallback = "60s", .least = "1s",
     .most = "1h", .flags = OPTION_PLAIN, .help = "time limit of the whole command"},
    {"interval", "DURATION", set_duration, AT(interval_ms), .fallback = "5m", .least = "100ms",
     .most = "1d", .verbs = FETCHES, .help = "run: longest time between two looks at the secret"},
    {"probe-interval", "DURATION", set_duration, AT(probe_interval_ms), .fallback = "60s",
     .least = "0s", .most = "1d", .verbs = VERB_RUN,
     .help = "run: time between two probes of each enclave; 0s: no probes"},
    {"probe-full-every", "NUMBER", set_number, AT(probe_full_every), .fallback = "10",
     .most = "100", .verbs = VERB_RUN,
     .help = "run: every NUMBER-th probe of an enclave is a full handshake; the others resume a "
             "session"},
    {"wave", "PERCENT%:DURATION", set_wave, .flags = OPTION_LIST, .verbs = VERB_RUN,
     .help = "run: hosts up to this share, drawn by chance, wait this long before they "
             "take a new version: 10%:0s,50%:10m,100%:1h"},
    {"rollback-on-failure", NULL, set_rollback, AT(rollback_on_failure), .verbs = VERB_RUN,
     .help = "run: go back to the previous set when enclaves refuse the new one; "
             "=authenticated: only when nobody on the way could have forged that"},
    {"on-change-exec", "COMMAND", set_words, AT(on_change_exec), .flags = OPTION_FIXED,
     .verbs = FETCHES,
     .help = "run this program after a set has changed: its path and arguments, "
             "without a shell"},
    {"on-change-signal", "NAME:PID", set_signal, .flags = OPTION_LIST | OPTION_FIXED,
     .verbs = FETCHES,
     .help = "then signal this process; PID is a number or the path of a PID file"},
    {"on-change-timeout", "DURATION", set_duration, AT(on_change_timeout_ms), .fallback = "30s",
     .least = "100ms", .most = "15m", .flags = OPTION_FIXED, .verbs = FETCHES,
     .help = "time limit of that program"},
    {"keep-previous", "DURATION", set_duration, AT(keep_previous_ms), .fallback = "1h",
     .least = "0s", .most = "365d", .verbs = FETCHES,
     .help = "how long the previous set stays on disk"},
    {"combined", NULL, set_bool, AT(combined), .verbs = FETCHES,
     .help = "install client.pem too: key, certificate and chain in one file"},
    {"count", "NUMBER", set_number, AT(count), .fallback = "1", .most = "1000", .verbs = VERB_PROBE,
     .help = "probe: ask each endpoint NUMBER times, and resume sessions"},
    {"request", "PATH", set_text, AT(request), value_request_path, .verbs = VERB_PROBE,
     .help = "probe: request PATH and print the body of the answer"},
    {"show-chain", NULL, set_bool, AT(show_chain), .verbs = VERB_PROBE,
     .help = "probe: print the certificates that a failing server sent"},
    {"expires-within", "DURATION", set_duration, AT(expires_within_ms), .least = "0s",
     .most = "36500d", .verbs = VERB_INSPECT | VERB_HEALTHCHECK | VERB_DOCTOR,
     .help = "inspect, healthcheck, doctor: fail if a certificate ends within this "
             "time"},
    {"as-user", "UID[:GID]", set_reader, .verbs = VERB_DOCTOR,
     .help = "doctor: check whether this user can read the installed files"},
    {"json", NULL, set_bool, AT(json),
     .verbs = VERB_INSPECT | VERB_PROBE | VERB_STATUS | VERB_HEALTHCHECK | VERB_ATTEST |
              VERB_DOCTOR | VERB_CHECK_CONFIG,
     .help = "write standard output as JSON, for programs"},
    {"status-file", "FILE", set_text, AT(status_file), value_path, .flags = OPTION_FIXED,
     .verbs = VERB_RUN | VERB_STATUS | VERB_HEALTHCHECK | VERB_PURGE,
     .help = "where run writes its state, for status, healthcheck and doctor"},
    {"metrics-file", "FILE", set_text, AT(metrics_file), value_path, .verbs = VERB_RUN | VERB_PURGE,
     .help = "run: write Prometheus metrics to FILE"},
    {"metrics-format", "prometheus|emf", set_second, AT(metrics_emf), .fallback = "prometheus",
     .verbs = VERB_RUN,
     .help = "run: emf also prints CloudWatch's embedded metric lines on standard "
             "output"},
    {"max-fetch-age", "DURATION", set_duration, AT(max_fetch_age_ms), .least = "1s", .most = "365d",
     .verbs = VERB_HEALTHCHECK, .help = "healthcheck: fail if run's last good fetch is older"},
    {"min-endpoints", "NUMBER", set_number, AT(min_endpoints), .most = "1024",
     .verbs = VERB_HEALTHCHECK,
     .help = "healthcheck: fail if fewer endpoints accept the installed identity"},
    {"memory-lock", "require|prefer", set_second, AT(memory_lock_preferred), .fallback = "require",
     .flags = OPTION_PLAIN | OPTION_FIXED, .help = "where memory cannot be locked: fail, or go on"},
    {"sandbox", "on|off", set_second, AT(sandbox_off), .fallback = "on",
     .flags = OPTION_PLAIN | OPTION_FIXED,
     .help = "off: keep all rights, to find out whether the sandbox causes a fault"},
    {"log-level", "debug|info|warning|error", set_choice, AT(log.level), .fallback = "info",
     .flags = OPTION_PLAIN | OPTION_SPARE, .help = "lowest level that is logged"},
    {"log-format", "text|json", set_choice, AT(log.format), .fallback = "text",
     .flags = OPTION_PLAIN | OPTION_SPARE,
     .help = "one line per event, for people or for programs"},
    {"log-file", "FILE", set_text, AT(log.file), value_path, .flags = OPTION_PLAIN | OPTION_SPARE,
     .help = "log to FILE too"},
    {"config", "FILE", set_text, AT(file), .flags = OPTION_NOT_IN_FILE,
     .help = "read options from FILE instead of /etc/mtls-agent/agent.conf"},
    {"command", "COMMAND", set_text, AT(command), value_command,
     .flags = OPTION_FILE_ONLY | OPTION_FIXED,
     .help = "what to do where the command line names no command"},
};

const size_t option_count = sizeof options / sizeof options[0];
_Static_assert(sizeof options / sizeof options[0] <= OPTIONS_MAX, "enlarge OPTIONS_MAX");

const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

const struct option *option_named(struct parse *parse, const char *name)
{
    unsigned elsewhere = parse->source == SOURCE_FILE ? OPTION_NOT_IN_FILE : OPTION_FILE_ONLY;
    const struct option *option = option_find(name);
    const struct option *near = option ? NULL : option_near(name, elsewhere);
    char word[QUOTED_MAX];

    if (option && !(option->flags & elsewhere))
        return option;
    if (option)
        (void)parse_refuse(parse, "\"%s\" cannot be set here", name);
    else if (near)
        (void)parse_refuse(parse, "unknown option %s; did you mean \"%s\"?",
                           quoted_name(word, name), near->name);
    else
        (void)parse_refuse(parse, "unknown option %s", quoted_name(word, name));
    return NULL;
}

enum source option_source(const struct parse *parse, const char *name)
{
    return parse->store->set_by[option_find(name) - options];
}

static int set_one(struct parse *parse, const struct option *option, const char *text, size_t len)
{
    static const char space[] = " \t\r\n";
    char word[QUOTED_MAX];
    const char *value, *why;
    uint64_t *digest;

    while (len > 0 && strchr(space, text[len - 1]))
        len--;
    for (; len > 0 && strchr(space, *text); len--)
        text++;
    value = parse_keep(parse, text, len);
    if (!value)
        return -1;
    digest = &parse->store->digests[option - options]; /* with its end: whether it changes */
    *digest = hash_fnv(*digest, value, strlen(value) + 1);
    parse->sound = false;
    why = option->set(parse, option, value);
    if (!why)
        return 0;
    if (why == setter_no_memory)
        return parse_starved(parse);
    if ((option->flags & OPTION_OPAQUE) && !parse->sound)
        return parse_refuse(parse, "%s (%zu bytes) %s", option->name, len, why);
    return parse_refuse(parse, "%s %s %s", option->name, quoted_value(word, value, parse->sound),
                        why);
}

int option_set(struct parse *parse, const struct option *option, const char *value)
{
    enum source *set_by = &parse->store->set_by[option - options];
    enum source *given_by = &parse->given_by[option - options];
    bool list = option->flags & OPTION_LIST;

    if (*given_by == parse->source && !list)
        return parse_refuse(parse, "%s is given twice", option->name);
    *given_by = parse->source;
    if (secrecy_holds_key(bytes_of_text(value)))
        return parse_refuse(parse, "%s (%zu bytes) holds a private key", option->name,
                            strlen(value));
    if (*set_by == SOURCE_NONE)
        *set_by = parse->source;
    if (*set_by != parse->source)
        return 0;
    for (;;) {
        size_t len = list ? strcspn(value, ",") : strlen(value);

        if (set_one(parse, option, value, len))
            return -1;
        if (value[len] == '\0')
            return 0;
        value += len + 1;
    }
}
