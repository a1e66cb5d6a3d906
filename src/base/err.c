/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* The whole of what the program knows about its failures. docs/errors.md is made from it. */
static const struct err_info table[ERR_CODES] = {
    [ERR_NONE] = {"none", EX_OK, ERR_LASTING, "nothing failed", ""},
    [ERR_USAGE] = {"usage", EX_USAGE, ERR_LASTING, "the command line is wrong",
                   "See mtls-agent --help."},
    [ERR_CONFIG] = {"config", EX_CONFIG, ERR_LASTING, "the configuration is wrong",
                    "Correct the line or the variable named."},
    [ERR_REGION_MISSING] = {"region_missing", EX_CONFIG, ERR_LASTING, "the AWS region is not known",
                            "Name the secret by its full ARN, or set --region or AWS_REGION."},
    [ERR_CREDENTIALS_MISSING] = {"credentials_missing", EX_NOPERM, ERR_LASTING,
                                 "there are no AWS credentials",
                                 "Give the ECS task a task role or the instance an instance "
                                 "profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."},
    [ERR_CREDENTIALS_FAILED] = {"credentials_failed", EX_NOPERM, ERR_LASTING,
                                "a configured source of AWS credentials gave none",
                                "Repair that source, or unset its variables so that the next one "
                                "is asked."},
    [ERR_CREDENTIALS_EXPIRED] = {"credentials_expired", EX_NOPERM, ERR_LASTING,
                                 "the AWS credentials have expired",
                                 "Renew them at the source that the reason names; fresh ones were "
                                 "asked for there already, and none came."},
    [ERR_CREDENTIALS_UNKNOWN] = {"credentials_unknown", EX_NOPERM, ERR_LASTING,
                                 "AWS does not know the access key, or its session token",
                                 "Check that the key exists and is active, that it belongs to this "
                                 "partition, and that its session token is complete."},
    [ERR_METADATA_OFF] = {"metadata_off", EX_NOPERM, ERR_LASTING,
                          "the instance metadata service is turned off",
                          "Turn it on (aws ec2 modify-instance-metadata-options --http-endpoint "
                          "enabled), or give credentials in another way."},
    [ERR_METADATA_HOP_LIMIT] =
        {"metadata_hop_limit", EX_UNAVAILABLE, ERR_IS_PASSING,
         "instance metadata takes connections, but its token never arrives",
         "In a container, raise the instance's hop limit to 2 (aws ec2 "
         "modify-instance-metadata-options --http-put-response-hop-limit 2), "
         "or use the host's network."},
    [ERR_ROLE_MISSING] = {"role_missing", EX_NOPERM, ERR_LASTING, "the instance has no role",
                          "Attach an instance profile with a role that may read the secret."},
    [ERR_CONTAINER_NOT_READY] = {"container_not_ready", EX_UNAVAILABLE, ERR_IS_PASSING,
                                 "the container's credentials are not ready",
                                 "Check the ECS agent's or Pod Identity agent's log; it has not "
                                 "obtained the task's or pod's credentials."},
    [ERR_TOKEN_FILE_MISSING] = {"token_file_missing", EX_NOPERM, ERR_LASTING,
                                "a token file that is configured cannot be read",
                                "Mount the token where the variable points, or unset it."},
    [ERR_AWS_UNREACHABLE] = {"aws_unreachable", EX_UNAVAILABLE, ERR_IS_PASSING,
                             "AWS cannot be reached",
                             "Check DNS, routes, the security group's egress to port 443 and the "
                             "VPC endpoint."},
    [ERR_DNS_FAILED] = {"dns_failed", EX_UNAVAILABLE, ERR_IS_PASSING,
                        "the endpoint's name has no address",
                        "Check the name, /etc/resolv.conf and the VPC's DNS support; for a VPC "
                        "endpoint's name, that the endpoint exists."},
    [ERR_NO_ROUTE] = {"no_route", EX_UNAVAILABLE, ERR_IS_PASSING, "there is no route to AWS",
                      "Give the subnet a NAT gateway or a VPC endpoint for Secrets Manager, or set "
                      "HTTPS_PROXY."},
    [ERR_PRIVATE_DNS] =
        {"private_dns", EX_UNAVAILABLE, ERR_IS_PASSING,
         "AWS's public address does not answer from here",
         "If a VPC endpoint is to be used, turn on its private DNS, and the VPC's "
         "enableDnsSupport and enableDnsHostnames; else give the subnet a way out."},
    [ERR_PROXY_UNREACHABLE] = {"proxy_unreachable", EX_UNAVAILABLE, ERR_IS_PASSING,
                               "the proxy cannot be reached",
                               "Correct --proxy or HTTPS_PROXY, or add AWS to --no-proxy."},
    [ERR_PROXY_REFUSED] = {"proxy_refused", EX_UNAVAILABLE, ERR_IS_PASSING,
                           "the proxy refused to connect to AWS",
                           "Allow CONNECT to the endpoint's port 443 there; for status 407, put "
                           "user and password into HTTPS_PROXY."},
    [ERR_AWS_UNTRUSTED] = {"aws_untrusted", EX_UNAVAILABLE, ERR_IS_PASSING,
                           "the AWS endpoint's certificate was refused",
                           "If a proxy or a private endpoint answers here, name its CA in "
                           "AWS_CA_BUNDLE."},
    [ERR_AWS_BUSY] = {"aws_busy", EX_UNAVAILABLE, ERR_IS_PASSING, "AWS throttles or fails",
                      "Try again later, or allow more time with --deadline."},
    [ERR_AWS_ANSWER] = {"aws_answer", EX_UNAVAILABLE, ERR_IS_PASSING,
                        "AWS gave an answer that makes no sense",
                        "Check that --endpoint-url names Secrets Manager."},
    [ERR_AWS_DENIED] = {"aws_denied", EX_NOPERM, ERR_LASTING, "AWS denied the request",
                        "Add the statement in the reason to a policy of the role in use."},
    [ERR_AWS_DENIED_EXPLICITLY] =
        {"aws_denied_explicitly", EX_NOPERM, ERR_LASTING, "a policy forbids the request",
         "An explicit deny outweighs every allow: look for it in the kind "
         "of policy that AWS names."},
    [ERR_KMS_DENIED] = {"kms_denied", EX_NOPERM, ERR_LASTING,
                        "the secret's KMS key may not be used",
                        "Allow kms:Decrypt on the secret's key to the role in use: in the key's "
                        "policy, and in the role's."},
    [ERR_KMS_FAILED] = {"kms_failed", EX_NOPERM, ERR_LASTING,
                        "the secret's KMS key cannot decrypt it",
                        "Check that the key is enabled and not pending deletion."},
    [ERR_AWS_REJECTED] = {"aws_rejected", EX_NOPERM, ERR_LASTING, "AWS rejected the request",
                          "See AWS's own words in the reason."},
    [ERR_SIGNATURE_WRONG] = {"signature_wrong", EX_NOPERM, ERR_LASTING,
                             "the request's signature does not fit the access key",
                             "Check the secret access key that belongs to the access key in use, "
                             "and that nothing on the way rewrites requests."},
    [ERR_CLOCK_SKEW] = {"clock_skew", EX_TEMPFAIL, ERR_IS_PASSING, "this host's clock is wrong",
                        "Set it: check chrony, or the Time Sync Service at 169.254.169.123."},
    [ERR_SECRET_NOT_FOUND] = {"secret_not_found", EX_NOPERM, ERR_LASTING,
                              "the secret does not exist",
                              "Check name, region and account; a name must stand without its "
                              "ARN's six last characters."},
    [ERR_VERSION_PENDING] = {"version_pending", EX_TEMPFAIL, ERR_LASTING,
                             "this version of the secret has no value yet",
                             "Wait until the rotation has put one, or see why it did not."},
    [ERR_SECRET_DELETED] = {"secret_deleted", EX_NOPERM, ERR_LASTING,
                            "the secret is marked for deletion",
                            "Restore it (aws secretsmanager restore-secret), or name another."},
    [ERR_VERSION_MISSING] = {"version_missing", EX_NOPERM, ERR_LASTING,
                             "the secret has no current version",
                             "Put a value into it (aws secretsmanager put-secret-value)."},
    [ERR_VERSION_UNKNOWN] = {"version_unknown", EX_NOPERM, ERR_LASTING,
                             "the secret has no version of that id or stage",
                             "See aws secretsmanager list-secret-version-ids; correct --version-id "
                             "or --version-stage."},
    [ERR_DOCUMENT_INVALID] = {"document_invalid", EX_DATAERR, ERR_OF_IDENTITY,
                              "the secret is no identity document",
                              "Store a JSON object with client_cert, client_key and ca_cert."},
    [ERR_DOCUMENT_TOO_LARGE] = {"document_too_large", EX_DATAERR, ERR_OF_IDENTITY,
                                "the secret is too large",
                                "Secrets Manager keeps at most 64 KiB; leave out what is not "
                                "needed."},
    [ERR_FIELD_MISSING] = {"field_missing", EX_DATAERR, ERR_OF_IDENTITY, "the secret lacks a field",
                           "Store client_cert, client_key and ca_cert together in one version."},
    [ERR_FIELD_REPEATED] = {"field_repeated", EX_DATAERR, ERR_OF_IDENTITY, "a field is given twice",
                            "Keep one of them, or install one secret into a subdirectory with "
                            "sub=ARN."},
    [ERR_PEM_INVALID] = {"pem_invalid", EX_DATAERR, ERR_OF_IDENTITY, "a value is not whole PEM",
                         "Store the file's text as it is, from BEGIN to END."},
    [ERR_KEY_ENCRYPTED] = {"key_encrypted", EX_DATAERR, ERR_OF_IDENTITY,
                           "the private key is encrypted",
                           "Store it decrypted (openssl pkey -in client.key); Secrets Manager "
                           "encrypts it."},
    [ERR_KEY_UNSUPPORTED] = {"key_unsupported", EX_DATAERR, ERR_OF_IDENTITY,
                             "this kind of private key is not supported",
                             "Use ECDSA P-256 or P-384, or RSA with 2048 to 4096 bits."},
    [ERR_KEY_INVALID] = {"key_invalid", EX_DATAERR, ERR_OF_IDENTITY, "the private key is damaged",
                         "Store the key anew; its values do not belong together."},
    [ERR_KEY_MISMATCH] = {"key_mismatch", EX_DATAERR, ERR_OF_IDENTITY,
                          "the private key does not belong to the certificate",
                          "Store key and certificate of one pair in one version of the secret."},
    [ERR_CERTIFICATE_INVALID] = {"certificate_invalid", EX_DATAERR, ERR_OF_IDENTITY,
                                 "a certificate is not acceptable",
                                 "Issue it anew; the reason says what is wrong with it."},
    [ERR_CERTIFICATE_EXPIRED] = {"certificate_expired", EX_DATAERR, ERR_OF_IDENTITY,
                                 "a certificate has expired",
                                 "Issue a new one and put it into the secret."},
    [ERR_CERTIFICATE_NOT_YET_VALID] =
        {"certificate_not_yet_valid", EX_TEMPFAIL, ERR_IS_PASSING, "a certificate is not valid yet",
         "Check this host's clock, then the certificate's notBefore."},
    [ERR_CHAIN_INVALID] = {"chain_invalid", EX_DATAERR, ERR_OF_IDENTITY,
                           "the certificate's chain does not verify",
                           "Put the CA that signed the certificate into ca_cert."},
    [ERR_CHAIN_NOT_IN_CA] = {"chain_not_in_ca", EX_DATAERR, ERR_OF_IDENTITY,
                             "the certificate's issuer is not in ca_cert",
                             "Add it to ca_cert, or use --client-chain=warn where client and "
                             "server CAs differ."},
    [ERR_IDENTITY_UNEXPECTED] =
        {"identity_unexpected", EX_DATAERR, ERR_OF_IDENTITY,
         "the identity is not the one that is expected",
         "Check that --secret names this environment's secret, or correct "
         "--expect-subject, --expect-san, --expect-ca or --forbid-version."},
    [ERR_ENCLAVE_REFUSED] = {"enclave_refused", EX_PROTOCOL, ERR_OF_ENCLAVE,
                             "the enclave refused the identity",
                             "Check that the enclave trusts the CA of client_cert and expects its "
                             "common name."},
    [ERR_ENCLAVE_UNTRUSTED] = {"enclave_untrusted", EX_PROTOCOL, ERR_OF_ENCLAVE,
                               "the enclave's certificate was refused",
                               "Check that ca_cert is the enclave's CA and that the certificate "
                               "names the endpoint in its subjectAltName."},
    [ERR_ENCLAVE_UNREACHABLE] = {"enclave_unreachable", EX_PROTOCOL, ERR_OF_ENCLAVE,
                                 "the enclave cannot be reached",
                                 "Check that it runs, and the security groups for its port."},
    [ERR_ATTEST_MISSING] =
        {"attestation_missing", EX_PROTOCOL, ERR_LASTING, "the enclave shows no attestation",
         "Let the enclave attest as docs/attestation.md says, or correct attest-profile."},
    [ERR_ATTEST_MALFORMED] =
        {"attestation_malformed", EX_PROTOCOL, ERR_LASTING, "an attestation cannot be read",
         "Let the enclave attest as docs/attestation.md says, or correct attest-profile."},
    [ERR_ATTEST_UNTRUSTED] =
        {"attestation_untrusted", EX_PROTOCOL, ERR_LASTING, "an attestation's chain was refused",
         "It is not of AWS's hardware; in GovCloud or China, name the root in attest-root."},
    [ERR_ATTEST_FORGED] = {"attestation_forged", EX_PROTOCOL, ERR_LASTING,
                           "an attestation's signature is wrong",
                           "See who answers there, and docs/attestation.md."},
    [ERR_ATTEST_EXPIRED] =
        {"attestation_expired", EX_PROTOCOL, ERR_LASTING, "an attestation has expired",
         "Let the enclave make one for each request; for an old one there is --at."},
    [ERR_ATTEST_CLOCK] = {"attestation_clock", EX_PROTOCOL, ERR_LASTING,
                          "an attestation's time and this host's clock differ",
                          "Set it: check chrony, or the Time Sync Service at 169.254.169.123."},
    [ERR_ATTEST_INSTANCE] = {"attested_instance", EX_PROTOCOL, ERR_LASTING,
                             "the attestation is of an instance, not of an enclave",
                             "See who answers there, and docs/attestation.md."},
    [ERR_ATTEST_DEBUG] = {"attested_debug", EX_PROTOCOL, ERR_LASTING,
                          "the enclave runs in debug mode, where its parent reads along",
                          "Start it without --debug-mode."},
    [ERR_ATTEST_IMAGE] =
        {"attested_other_image", EX_PROTOCOL, ERR_LASTING,
         "the enclave runs another image than attest-pcr names",
         "Compare with what nitro-cli build-enclave printed; during a roll-out, list both."},
    [ERR_ATTEST_STALE] =
        {"attested_stale", EX_PROTOCOL, ERR_LASTING, "nothing shows that the attestation is of now",
         "Let the enclave attest as docs/attestation.md says, or correct attest-profile."},
    [ERR_ATTEST_REPLAYED] = {"attested_replayed", EX_PROTOCOL, ERR_LASTING,
                             "the attestation does not echo our nonce",
                             "See who answers there, and docs/attestation.md."},
    [ERR_ATTEST_UNBOUND] =
        {"attested_unbound", EX_PROTOCOL, ERR_LASTING,
         "the attestation is not bound to the TLS key",
         "Let the enclave attest as docs/attestation.md says, or correct attest-profile."},
    [ERR_ATTEST_OTHER_KEY] = {"attested_other_key", EX_PROTOCOL, ERR_LASTING,
                              "the attestation is of another TLS key than the one that answers",
                              "See who answers there, and docs/attestation.md."},
    [ERR_TARGET_INVALID] = {"target_invalid", EX_CANTCREAT, ERR_LASTING,
                            "the target directory cannot be used",
                            "Correct --dir, or the owner and kind of what stands there."},
    [ERR_INSTALL_FAILED] =
        {"install_failed", EX_CANTCREAT, ERR_LASTING, "the set cannot be installed",
         "Free space, or make the file system writable; the old set is in place."},
    [ERR_NO_IDENTITY] = {"no_identity", EX_PROTOCOL, ERR_OF_ENCLAVE, "no identity is installed",
                         "Run mtls-agent fetch first."},
    [ERR_NO_PREVIOUS] = {"no_previous", EX_CANTCREAT, ERR_LASTING,
                         "there is no previous set to go back to",
                         "See the reason; keep-previous says how long a replaced set stays, unless "
                         "it expires before."},
    [ERR_ALREADY_RUNNING] = {"already_running", EX_TEMPFAIL, ERR_IS_PASSING,
                             "another mtls-agent run has this directory",
                             "Stop the other one, or give this one another --dir."},
    [ERR_HOOK_FAILED] = {"hook_failed", EX_IOERR, ERR_LASTING,
                         "the identity is in place, but who should know was not told",
                         "See what --on-change-exec wrote (event hook_output), or the PID of "
                         "--on-change-signal; it is tried again, also by the next fetch."},
    [ERR_NO_STATUS] = {"no_status", EX_UNAVAILABLE, ERR_LASTING, "there is no status file",
                       "Start mtls-agent run, or name its --status-file."},
    [ERR_MEMORY_LOCK] = {"memory_lock", EX_OSERR, ERR_OF_HOST, "memory cannot be locked",
                         "Raise the memlock limit to 8 MiB (LimitMEMLOCK=8M, or ulimits in the "
                         "task definition), or accept --memory-lock=prefer."},
    [ERR_MEMORY_FULL] = {"memory_full", EX_OSERR, ERR_OF_HOST, "the locked memory is full",
                         "Raise the memlock limit, or fetch fewer secrets at once."},
    [ERR_DESCRIPTORS_FULL] = {"descriptors_full", EX_OSERR, ERR_OF_HOST,
                              "no file descriptor is left",
                              "Raise the limit on open files (LimitNOFILE, ulimit -n, or ulimits "
                              "in the task definition) to 64 or more."},
    [ERR_THREADS_FULL] =
        {"threads_full", EX_OSERR, ERR_OF_HOST, "no thread can be started",
         "Allow more threads (TasksMax, ulimit -u, the container's pids limit): 16 "
         "or more; or more memory for their stacks."},
    [ERR_SYSTEM] = {"system", EX_OSERR, ERR_OF_HOST, "the system refused", "See the reason."},
    [ERR_DEADLINE] = {"deadline", EX_TEMPFAIL, ERR_IS_PASSING, "the deadline has passed",
                      "Allow more time with --deadline; the log shows where it went."},
    [ERR_ENCLAVE_PLAINTEXT] =
        {"enclave_plaintext", EX_PROTOCOL, ERR_OF_ENCLAVE, "the enclave speaks HTTP without TLS",
         "Turn on TLS with client certificates in the enclave's own server; it must not end "
         "outside of the enclave."},
    [ERR_CERTIFICATE_ENDS] = {"certificate_ends", EX_DATAERR, ERR_LASTING,
                              "a certificate ends soon",
                              "Issue a new one and put it into the secret."},
    [ERR_READER_DENIED] =
        {"reader_denied", EX_NOPERM, ERR_LASTING, "a reader cannot read the identity",
         "Let the agent install it with --owner UID:GID of the reader, and key-mode 0640 for the "
         "group."},
    [ERR_LABEL] = {"selinux_label", EX_NOPERM, ERR_LASTING,
                   "SELinux keeps containers from the identity",
                   "Give it the type container_ro_file_t: docs/selinux.md."},
    [ERR_NOT_WRITABLE] = {"not_writable", EX_CANTCREAT, ERR_LASTING,
                          "a file that is configured cannot be written",
                          "Make its directory, and let the agent's user write there; in a unit, "
                          "ReadWritePaths=."},
    [ERR_RUN_UNHEALTHY] = {"run_unhealthy", EX_UNAVAILABLE, ERR_LASTING,
                           "mtls-agent run is not as it should be",
                           "See mtls-agent status, and its log; then systemctl restart "
                           "mtls-agent."},
};

static int fill(struct err *err, enum err_code code, const char *subject)
{
    err->code = code;
    err->remedy = NULL;
    err->young = false;
    (void)snprintf(err->subject, sizeof err->subject, "%s", subject ? subject : "");
    return -1;
}

const char *err_remedy(const struct err *err)
{
    return err->remedy ? err->remedy : err_info(err->code)->remedy;
}

int err_set(struct err *err, enum err_code code, const char *subject, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(err->reason, sizeof err->reason, format, arguments);
    va_end(arguments);
    return fill(err, code, subject);
}

enum err_code err_of_errno(int error, enum err_code otherwise)
{
    return error == EMFILE || error == ENFILE ? ERR_DESCRIPTORS_FULL : otherwise;
}

int err_set_errno(struct err *err, enum err_code code, const char *subject, const char *format, ...)
{
    int saved = errno;
    size_t len;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(err->reason, sizeof err->reason, format, arguments);
    va_end(arguments);
    len = strlen(err->reason);
    (void)snprintf(err->reason + len, sizeof err->reason - len, ": %s", strerror(saved));
    return fill(err, err_of_errno(saved, code), subject);
}

const struct err_info *err_info(enum err_code code)
{
    return &table[(unsigned)code < ERR_CODES ? code : ERR_SYSTEM];
}
