/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err_table.h"

#include <sysexits.h>

/* Of what inspect, status, healthcheck and doctor find: they end with 1, whatever it is. */
enum { EX_FOUND = 1 };

/* The whole of what the program knows about its failures. docs/errors.md is made from it. */
const struct err_info err_codes[ERR_CODES] = {
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
                        "Check that --endpoint-url names Secrets Manager, and that no proxy or "
                        "portal answers in its place."},
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
                              "this is no identity document",
                              "Store a JSON object with client_cert, client_key and ca_cert."},
    [ERR_DOCUMENT_TOO_LARGE] = {"document_too_large", EX_DATAERR, ERR_OF_IDENTITY,
                                "the document is too large",
                                "A secret holds at most 64 KiB; leave out what is not needed."},
    [ERR_FIELD_MISSING] = {"field_missing", EX_DATAERR, ERR_OF_IDENTITY, "a field is missing",
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
    [ERR_KEY_UNSUPPORTED] =
        {"key_unsupported", EX_DATAERR, ERR_OF_IDENTITY,
         "this kind of private key is not supported",
         "Make a key of P-256, P-384 or RSA with 2048 to 4096 bits (openssl ecparam -name "
         "prime256v1 -genkey -noout), and have its certificate issued anew."},
    [ERR_KEY_INVALID] =
        {"key_invalid", EX_DATAERR, ERR_OF_IDENTITY, "the private key is damaged",
         "Store the key anew, whole, as it was made (openssl pkey -check -in client.key)."},
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
                           "Issue anew what the reason names."},
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
                          "the enclave runs in debug mode: its parent can read its memory",
                          "Start it without --debug-mode."},
    [ERR_ATTEST_IMAGE] =
        {"attested_other_image", EX_PROTOCOL, ERR_LASTING,
         "the enclave runs another image than attest-pcr names",
         "Compare with what nitro-cli build-enclave printed; during a roll-out, list both."},
    [ERR_ATTEST_STALE] =
        {"attested_stale", EX_PROTOCOL, ERR_LASTING, "nothing shows that the attestation is fresh",
         "Let the enclave attest as docs/attestation.md says, or correct attest-profile."},
    [ERR_ATTEST_REPLAYED] = {"attested_replayed", EX_PROTOCOL, ERR_LASTING,
                             "the attestation does not echo our nonce",
                             "See who answers there, and docs/attestation.md."},
    [ERR_ATTEST_UNBOUND] =
        {"attested_unbound", EX_PROTOCOL, ERR_LASTING,
         "the attestation is not bound to the TLS key",
         "Let the enclave attest as docs/attestation.md says, or correct attest-profile."},
    [ERR_ATTEST_OTHER_KEY] = {"attested_other_key", EX_PROTOCOL, ERR_LASTING,
                              "the attestation names another TLS key than the one in use",
                              "See who answers there, and docs/attestation.md."},
    [ERR_TARGET_INVALID] = {"target_invalid", EX_CANTCREAT, ERR_LASTING,
                            "the target directory cannot be used",
                            "Correct --dir, or the owner and kind of what is there."},
    [ERR_INSTALL_FAILED] = {"install_failed", EX_CANTCREAT, ERR_LASTING,
                            "the set cannot be installed",
                            "See the reason; the old set is in place."},
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
                         "the identity is in place, but the hook failed",
                         "See what --on-change-exec wrote (event hook_output), or the PID of "
                         "--on-change-signal; it is tried again, also by the next fetch."},
    [ERR_NO_STATUS] = {"no_status", EX_FOUND, ERR_LASTING, "no status can be read",
                       "Start mtls-agent run, or name its --status-file."},
    [ERR_MEMORY_LOCK] = {"memory_lock", EX_OSERR, ERR_OF_HOST, "memory cannot be locked",
                         "Raise the memlock limit to 8 MiB (LimitMEMLOCK=8M, or ulimits in the "
                         "task definition), or accept --memory-lock=prefer."},
    [ERR_MEMORY_FULL] = {"memory_full", EX_OSERR, ERR_OF_HOST, "the locked memory is full",
                         "Raise the memlock limit to 8 MiB (LimitMEMLOCK=8M, or ulimits in the "
                         "task definition), or accept --memory-lock=prefer."},
    [ERR_DESCRIPTORS_FULL] = {"descriptors_full", EX_OSERR, ERR_OF_HOST,
                              "no file descriptor is left",
                              "Raise the limit on open files (LimitNOFILE, ulimit -n, or ulimits "
                              "in the task definition) to 64 or more."},
    [ERR_THREADS_FULL] =
        {"threads_full", EX_OSERR, ERR_OF_HOST, "no thread can be started",
         "Allow more threads (TasksMax, ulimit -u, the container's pids limit): 16 "
         "or more; or more memory for their stacks."},
    [ERR_SYSTEM] = {"system", EX_OSERR, ERR_OF_HOST, "the system refused", "See the reason."},
    [ERR_OUTPUT] = {"output_failed", EX_OSFILE, ERR_OF_HOST,
                    "the answer could not be written whole",
                    "Free space where it goes, or let its reader read to the end."},
    [ERR_DEADLINE] = {"deadline", EX_TEMPFAIL, ERR_IS_PASSING, "the deadline has passed",
                      "Allow more time with --deadline; the log shows where it went."},
    [ERR_CERTIFICATE_ENDS] = {"certificate_ends", EX_FOUND, ERR_LASTING, "a certificate ends soon",
                              "Issue a new one and put it into the secret."},
    [ERR_READER_DENIED] =
        {"reader_denied", EX_FOUND, ERR_LASTING, "a reader cannot read the identity",
         "Let the agent install it with --owner UID:GID of the reader, and key-mode 0640 for the "
         "group."},
    [ERR_LABEL] = {"selinux_label", EX_FOUND, ERR_LASTING,
                   "SELinux keeps containers from the identity",
                   "Give it the type container_ro_file_t: docs/selinux.md."},
    [ERR_NOT_WRITABLE] = {"not_writable", EX_FOUND, ERR_LASTING,
                          "a file that is configured cannot be written",
                          "Make its directory, and let the agent's user write there; in a unit, "
                          "ReadWritePaths=."},
    [ERR_RUN_UNHEALTHY] = {"run_unhealthy", EX_FOUND, ERR_LASTING,
                           "mtls-agent run does not work as it should",
                           "See mtls-agent status, and its log; then systemctl restart "
                           "mtls-agent."},
};

/* In the order of enum err_code. What is not said here, the code's row says. */
const struct err_cause err_causes[ERR_CAUSES - ERR_CODES] = {
    [CAUSE_BASE64 - ERR_CODES] = {"base64", ERR_DOCUMENT_INVALID,
                                  "Store the text itself: decode it first (base64 -d)."},
    [CAUSE_UTF16 - ERR_CODES] = {"utf16", ERR_DOCUMENT_INVALID,
                                 "Store it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE."},
    [CAUSE_BINARY -
        ERR_CODES] = {"binary", ERR_DOCUMENT_INVALID,
                      "Store PEM: openssl x509 -inform DER -in FILE, openssl pkey -inform DER -in "
                      "FILE; of PKCS#12: openssl pkcs12 -nodes -in FILE."},
    [CAUSE_ENCODED_TWICE - ERR_CODES] = {"encoded_twice", ERR_DOCUMENT_INVALID,
                                         "Store the object itself, encoded once: jq -r . FILE."},
    [CAUSE_FILE_UNREADABLE -
        ERR_CODES] = {"file_unreadable", ERR_DOCUMENT_INVALID,
                      "Name a file that this user can read, or - for standard input."},
    [CAUSE_ISSUER_IS_NO_CA -
        ERR_CODES] = {"issuer_is_no_ca", ERR_FIELD_MISSING,
                      "Store the CA that signed the enclave's certificate as ca_cert: another CA "
                      "may have issued the client's certificate."},
    [CAUSE_WRONG_FIELD -
        ERR_CODES] = {"wrong_field", ERR_PEM_INVALID,
                      "Store each in its own field: the certificate in client_cert, its private "
                      "key in client_key, the CA in ca_cert."},
    [CAUSE_CERTIFICATE_REQUEST -
        ERR_CODES] = {"certificate_request", ERR_PEM_INVALID,
                      "Store the certificate that the CA made of this request."},
    [CAUSE_PKCS7 -
        ERR_CODES] = {"pkcs7", ERR_PEM_INVALID, "Convert it: openssl pkcs7 -print_certs -in FILE."},
    [CAUSE_KEY_OPENSSH - ERR_CODES] = {"key_openssh", ERR_KEY_UNSUPPORTED,
                                       "Convert it: ssh-keygen -p -N '' -m PKCS8 -f client.key."},
    [CAUSE_KEY_FORM -
        ERR_CODES] = {"key_form", ERR_KEY_UNSUPPORTED,
                      "Convert it: openssl pkey -ec_param_enc named_curve -in client.key."},
    [CAUSE_KEYS_SEVERAL -
        ERR_CODES] = {"keys_several", ERR_KEY_INVALID, "Keep the certificate's key, and no other."},
    [CAUSE_TRUST_SETTINGS - ERR_CODES] = {"trust_settings", ERR_CERTIFICATE_INVALID,
                                          "Leave them out: openssl x509 -in FILE."},
    [CAUSE_CERTIFICATES_MANY - ERR_CODES] = {"certificates_many", ERR_CERTIFICATE_INVALID,
                                             "Leave out the certificates that are not needed."},
    [CAUSE_LEAF_PURPOSE - ERR_CODES] = {"leaf_purpose", ERR_CERTIFICATE_INVALID,
                                        "Issue it anew with keyUsage digitalSignature and "
                                        "extendedKeyUsage clientAuth (server_cert: serverAuth)."},
    [CAUSE_CA_EXPIRED - ERR_CODES] = {"ca_expired", ERR_CERTIFICATE_EXPIRED,
                                      "Renew that CA, and store it: a root in ca_cert, an "
                                      "intermediate in client_cert behind the leaf."},
    [CAUSE_CERTIFICATE_ALTERED - ERR_CODES] = {"certificate_altered", ERR_CHAIN_INVALID,
                                               "It was altered after it was signed, or another CA "
                                               "of that name signed it: store what the CA issued."},
    [CAUSE_SIGNATURE_UNSUPPORTED -
        ERR_CODES] = {"signature_unsupported", ERR_CHAIN_INVALID,
                      "Have it signed by ECDSA or RSA (PKCS#1) with SHA-256, SHA-384 or SHA-512 "
                      "(openssl x509 -req -sha256)."},
    [CAUSE_CA_KEY - ERR_CODES] = {"ca_key", ERR_CHAIN_INVALID,
                                  "Make that CA anew with a key of P-256, P-384 or RSA with 2048 "
                                  "to 4096 bits, and issue anew what it signed."},
    [CAUSE_NAME_CONSTRAINTS - ERR_CODES] = {"name_constraints", ERR_CHAIN_INVALID,
                                            "Issue the certificate for names that this CA's "
                                            "constraints permit, or by a CA without them."},
    [CAUSE_PATH_LENGTH - ERR_CODES] =
        {"path_length", ERR_CHAIN_INVALID,
         "Issue the certificate by a CA further up, or that CA anew with a larger pathlen."},
    [CAUSE_CRITICAL_EXTENSION - ERR_CODES] =
        {"critical_extension", ERR_CHAIN_INVALID,
         "Issue that certificate anew without this extension, or with it not critical."},
    [CAUSE_NOT_A_CA - ERR_CODES] = {"not_a_ca", ERR_CHAIN_INVALID,
                                    "Issue that CA anew with basicConstraints=critical,CA:TRUE, or "
                                    "store the CA that is meant."},
    [CAUSE_CA_USAGE - ERR_CODES] = {"ca_usage", ERR_CHAIN_INVALID,
                                    "Issue that CA anew: keyUsage with keyCertSign, and "
                                    "extendedKeyUsage left out or with that purpose."},
    [CAUSE_HEAP_FULL - ERR_CODES] = {"heap_full", ERR_MEMORY_FULL,
                                     "Give the process more memory: its limit of address space, or "
                                     "the container's."},
    [CAUSE_CA_BUNDLE - ERR_CODES] =
        {"ca_bundle", ERR_CONFIG,
         "Name a file of PEM certificates that this user can read: cat DIR/*.pem >FILE."},
    [CAUSE_REGION_FORM - ERR_CODES] = {"region_form", ERR_REGION_MISSING,
                                       "Correct it: a region reads like eu-central-1."},
    [CAUSE_TRISTATE - ERR_CODES] = {"not_true_or_false", ERR_CONFIG,
                                    "Set it to true or false, in the environment, the file or the "
                                    "profile."},
    [CAUSE_SESSION_NAME - ERR_CODES] = {"session_name", ERR_CONFIG,
                                        "Shorten or correct role_session_name of the profile, or "
                                        "AWS_ROLE_SESSION_NAME."},
    [CAUSE_NO_ROUTE_DUAL - ERR_CODES] =
        {"no_route_ipv4", ERR_NO_ROUTE,
         "Give the subnet a NAT gateway or a VPC endpoint for Secrets Manager, or set HTTPS_PROXY; "
         "on a host of IPv6 alone set AWS_USE_DUALSTACK_ENDPOINT=true."},
    [CAUSE_AWS_DATES - ERR_CODES] = {"aws_dates", ERR_AWS_UNTRUSTED,
                                     "Set this host's clock: check chrony, or the Time Sync "
                                     "Service at 169.254.169.123. If it is right, see who answers "
                                     "there."},
    [CAUSE_NOT_AWS - ERR_CODES] =
        {"not_aws", ERR_AWS_DENIED,
         "This answer is not from AWS: let the proxy or firewall on the way pass requests to this "
         "host, or use a VPC endpoint."},
    [CAUSE_NOT_SUBSCRIBED - ERR_CODES] = {"not_subscribed", ERR_AWS_DENIED,
                                          "Enable the service or the region for this account, or "
                                          "wait until its sign-up is through."},
    [CAUSE_OTHERS_POLICY - ERR_CODES] = {"policy_of_others", ERR_AWS_DENIED,
                                         "The role's own policies do not decide this: the owner of "
                                         "the policy or the account that AWS names must allow it."},
    [CAUSE_NOT_MUTUAL - ERR_CODES] = {"not_mutual", ERR_ENCLAVE_REFUSED,
                                      "Let the enclave ask for a client certificate and demand it; "
                                      "or accept that it does not by --allow-not-mutual."},
    [CAUSE_ENCLAVE_CA - ERR_CODES] = {"enclave_ca", ERR_ENCLAVE_UNTRUSTED,
                                      "Put the CA that signed the enclave's certificate into "
                                      "ca_cert; let the enclave send its intermediates."},
    [CAUSE_ENCLAVE_DATES - ERR_CODES] = {"enclave_dates", ERR_ENCLAVE_UNTRUSTED,
                                         "Renew the certificate at the enclave, or set the clock "
                                         "that is wrong, here or where it was issued."},
    [CAUSE_ENCLAVE_NAME - ERR_CODES] =
        {"enclave_name", ERR_ENCLAVE_UNTRUSTED,
         "Let the enclave's certificate name the endpoint in its subjectAltName, or write "
         "--endpoint NAME@ADDRESS:PORT with a name that it has."},
    [CAUSE_ENCLAVE_CHAIN - ERR_CODES] = {"enclave_chain", ERR_ENCLAVE_UNTRUSTED,
                                         "Let the enclave send its own certificate and its "
                                         "intermediates, and nothing else."},
    [CAUSE_ENCLAVE_CERTIFICATE - ERR_CODES] = {"enclave_certificate", ERR_ENCLAVE_UNTRUSTED,
                                               "Issue the enclave's certificate, or its CA's, "
                                               "anew; the reason says what is wrong."},
    [CAUSE_ENCLAVE_PLAIN -
        ERR_CODES] = {"enclave_plain", ERR_ENCLAVE_UNREACHABLE,
                      "Let the enclave speak TLS on this port, or name the port on which it does."},
    [CAUSE_ENCLAVE_DNS -
        ERR_CODES] = {"enclave_dns", ERR_ENCLAVE_UNREACHABLE,
                      "Correct the endpoint's name, or write --endpoint NAME@ADDRESS:PORT."},
    [CAUSE_OWNER_DENIED - ERR_CODES] =
        {"owner_denied", ERR_INSTALL_FAILED,
         "Run it as root or with CAP_CHOWN (AmbientCapabilities=CAP_CHOWN), or leave --owner out."},
    [CAUSE_OWNER_UNMAPPED - ERR_CODES] =
        {"owner_unmapped", ERR_INSTALL_FAILED,
         "Name an owner that this user namespace maps (/proc/self/uid_map), or leave --owner out."},
    [CAUSE_DIR_DENIED - ERR_CODES] =
        {"dir_denied", ERR_INSTALL_FAILED,
         "Let the agent's user write there (chown), run it as root, or name another --dir."},
    [CAUSE_READ_ONLY - ERR_CODES] =
        {"read_only", ERR_INSTALL_FAILED,
         "Mount it writable (in a task definition: readOnly false), or name another --dir."},
    [CAUSE_DISK_FULL -
        ERR_CODES] = {"disk_full", ERR_INSTALL_FAILED,
                      "Free space or inodes on that file system; the old set is in place."},
};
