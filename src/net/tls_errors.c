/* SPDX-License-Identifier: Apache-2.0 */
#include <bearssl.h>
#include <stddef.h>

#include "net/tls.h"

enum { HANDSHAKE_FAILURE = 40, ILLEGAL_PARAMETER = 47, CERTIFICATE_REQUIRED = 116 };

struct alert {
    int number;
    const char *name;
    const char *cause;
};

/* RFC 5246 section 7.2, and what later ones added. */
static const struct alert alerts[] = {
    {0, "close_notify", "it closed the connection"},
    {10, "unexpected_message", "it lost track of the handshake; something between us may meddle"},
    {20, "bad_record_mac", "what we sent reached it damaged; something between us may meddle"},
    {21, "decryption_failed", "what we sent reached it damaged; something between us may meddle"},
    {22, "record_overflow", "what we sent reached it damaged; something between us may meddle"},
    {30, "decompression_failure", "it expects compression, which TLS clients no longer use"},
    {HANDSHAKE_FAILURE, "handshake_failure", NULL},
    {41, "no_certificate", "it wants a client certificate"},
    {42, "bad_certificate", "it cannot read or verify the client certificate"},
    {43, "unsupported_certificate",
     "the client certificate's key, signature or extendedKeyUsage is not one that it takes"},
    {44, "certificate_revoked", "the client certificate stands on its revocation list"},
    {45, "certificate_expired",
     "the client certificate has expired by its clock, or its own CA "
     "certificate has"},
    {46, "certificate_unknown", "it refused the client certificate without saying why"},
    {47, "illegal_parameter", "it does not take a value of our handshake; its TLS may be broken"},
    {48, "unknown_ca",
     "it does not trust the CA of the client certificate, or an intermediate "
     "certificate is missing in client_cert"},
    {49, "access_denied", "the client certificate is good, but its holder is not let in"},
    {50, "decode_error",
     "it cannot read our handshake, perhaps since the client certificate's "
     "chain is too long for it"},
    {51, "decrypt_error",
     "a signature or the handshake's checksum was wrong there; do client_key "
     "and the certificate that it knows belong together?"},
    {60, "export_restriction", "it wants export ciphers"},
    {70, "protocol_version",
     "it and this agent have no version of TLS in common; allow TLS 1.2 or 1.3 there, and see "
     "--tls-versions"},
    {71, "insufficient_security", "it asks for stronger cipher suites or keys"},
    {80, "internal_error", "it failed by itself; see its log"},
    {86, "inappropriate_fallback", "it thinks that somebody made us use an older TLS"},
    {90, "user_canceled", "somebody there ended the handshake"},
    {100, "no_renegotiation", "it does not renegotiate"},
    {109, "missing_extension", "it insists on a TLS extension that this agent does not send"},
    {110, "unsupported_extension", "it does not take an extension of our handshake"},
    {111, "certificate_unobtainable", "it could not get the client certificate"},
    {112, "unrecognized_name", "it serves nothing under the endpoint's name (SNI)"},
    {113, "bad_certificate_status_response", "it misread an OCSP answer"},
    {114, "bad_certificate_hash_value", "it could not get the client certificate"},
    {115, "unknown_psk_identity", "it wants a pre-shared key"},
    {CERTIFICATE_REQUIRED, "certificate_required", "it wants a client certificate and got none"},
    {120, "no_application_protocol", "it does not speak HTTP/1.1 here (ALPN)"},
};

static const struct alert *find_alert(int number)
{
    size_t i;

    for (i = 0; i < sizeof alerts / sizeof *alerts; i++)
        if (alerts[i].number == number)
            return &alerts[i];
    return NULL;
}

const char *tls_alert_name(int alert)
{
    const struct alert *found = find_alert(alert);

    return found ? found->name : "alert";
}

static const char no_scheme[] =
    "it wants a client certificate, and takes no SHA-2 signature of this key's type; in TLS 1.3 "
    "P-256 signs with SHA-256 and P-384 with SHA-384";

/* One alert for all that has none of its own: what has happened before tells what it is about. */
static const char *handshake_failure_cause(const struct tls_record *record)
{
    if (record->renegotiation)
        return "it asks for the client certificate by renegotiation; "
               "let it ask within the handshake";
    if (record->certificate_sent)
        return "it refused the client certificate";
    if (record->certificate_requested)
        return no_scheme;
    return "no common cipher suite, curve or signature; it must allow ECDHE on X25519, P-256 or "
           "P-384, AES-GCM or ChaCha20-Poly1305, and ECDSA or RSA signatures";
}

/* A key of another curve than the server's: it knows that curve only, and says so by this alert. */
static const char *curve_cause(const struct tls_record *record)
{
    if (record->own_curve == BR_EC_secp256r1 && record->curve == BR_EC_secp384r1)
        return "it takes keys of P-384, the curve that it chose, and this key is of P-256";
    if (record->own_curve == BR_EC_secp384r1 && record->curve == BR_EC_secp256r1)
        return "it takes keys of P-256, the curve that it chose, and this key is of P-384";
    return NULL;
}

static bool is_about_certificate(int alert)
{
    enum { BAD_CERTIFICATE = 42, ACCESS_DENIED = 49 };

    return alert >= BAD_CERTIFICATE && alert <= ACCESS_DENIED && alert != ILLEGAL_PARAMETER;
}

const char *tls_alert_cause(int alert, const struct tls_record *record)
{
    const struct alert *found = find_alert(alert);
    const char *by_curve = alert == ILLEGAL_PARAMETER ? curve_cause(record) : NULL;

    if (by_curve)
        return by_curve;
    if (is_about_certificate(alert) && !record->certificate_left)
        return "it ended the handshake before it had a client certificate";
    if (alert == CERTIFICATE_REQUIRED && record->certificate_requested && !record->certificate_sent)
        return no_scheme;
    if (alert == HANDSHAKE_FAILURE)
        return handshake_failure_cause(record);
    return found ? found->cause : "an alert that no standard names";
}

#define MEDDLING "; something between us may meddle"
#define BROKEN   "; its TLS is broken"
#define DAMAGED  "the server's certificate is damaged"

static const char *const texts[] = {
    [BR_ERR_OK] = "no error",
    [BR_ERR_BAD_PARAM] = "a handshake message is malformed or too large" BROKEN,
    [BR_ERR_BAD_STATE] = "TLS was used out of turn; a bug of this agent",
    [BR_ERR_UNSUPPORTED_VERSION] = "what answered is neither TLS 1.2 nor 1.3; perhaps plain HTTP, "
                                   "or another protocol, is on that port",
    [BR_ERR_MISSING_EXTENSION] = "a handshake message lacks an extension" BROKEN,
    [BR_ERR_DOWNGRADE] = "the server can do TLS 1.3 and was made to choose TLS 1.2" MEDDLING,
    [BR_ERR_BAD_VERSION] = "the server changed its TLS version within the handshake" BROKEN,
    [BR_ERR_BAD_LENGTH] = "a TLS record has an impossible length" MEDDLING,
    [BR_ERR_TOO_LARGE] = "a TLS record is too large, or our certificate chain is",
    [BR_ERR_BAD_MAC] = "a TLS record was damaged on its way" MEDDLING,
    [BR_ERR_NO_RANDOM] = "there was no randomness from the kernel",
    [BR_ERR_UNKNOWN_TYPE] =
        "what answered is no TLS; perhaps plain HTTP, or another protocol, is on that port",
    [BR_ERR_UNEXPECTED] = "a TLS message came out of turn" BROKEN,
    [BR_ERR_BAD_CCS] = "a ChangeCipherSpec message is malformed" BROKEN,
    [BR_ERR_BAD_ALERT] = "an alert is malformed" BROKEN,
    [BR_ERR_BAD_HANDSHAKE] = "a handshake message is malformed" BROKEN,
    [BR_ERR_OVERSIZED_ID] = "the session ID is too long" BROKEN,
    [BR_ERR_BAD_CIPHER_SUITE] = "the server chose a cipher suite that was not offered" BROKEN,
    [BR_ERR_BAD_COMPRESSION] = "the server chose compression, which was not offered" BROKEN,
    [BR_ERR_BAD_FRAGLEN] = "the server chose a record size that was not offered" BROKEN,
    [BR_ERR_BAD_SECRENEG] = "the server's renegotiation data is wrong" MEDDLING,
    [BR_ERR_EXTRA_EXTENSION] = "the server sent an extension that was not offered" BROKEN,
    [BR_ERR_BAD_SNI] = "the server's answer to the name (SNI) is malformed" BROKEN,
    [BR_ERR_BAD_HELLO_DONE] = "the server's hello ends wrongly" BROKEN,
    [BR_ERR_LIMIT_EXCEEDED] = "the server's key is larger than RSA 4096",
    [BR_ERR_BAD_FINISHED] = "the two sides saw different handshakes" MEDDLING,
    [BR_ERR_RESUME_MISMATCH] = "the server resumed a session as another one" BROKEN,
    [BR_ERR_INVALID_ALGORITHM] =
        "the server chose a curve, signature or hash that was not offered" BROKEN,
    [BR_ERR_BAD_SIGNATURE] =
        "the server's signature is wrong; its key may not belong to its certificate",
    [BR_ERR_WRONG_KEY_USAGE] = "the server's key is of another type than its cipher suite needs",
    [BR_ERR_NO_CLIENT_AUTH] = "no client certificate came",
    [BR_ERR_NO_PROGRESS] = "the server sends without end and does not get on" MEDDLING,
    [BR_ERR_IO] = "the connection broke within the handshake",
    [BR_ERR_X509_OK] = "no error",
    [BR_ERR_X509_INVALID_VALUE] = DAMAGED ": a value is invalid",
    [BR_ERR_X509_TRUNCATED] = DAMAGED ": it is cut off",
    [BR_ERR_X509_EMPTY_CHAIN] = "the server sent no certificate",
    [BR_ERR_X509_INNER_TRUNC] = DAMAGED ": an element is cut off",
    [BR_ERR_X509_BAD_TAG_CLASS] = DAMAGED ": a tag has a wrong class",
    [BR_ERR_X509_BAD_TAG_VALUE] = DAMAGED ": a tag is wrong",
    [BR_ERR_X509_INDEFINITE_LENGTH] = DAMAGED ": it is BER, not DER",
    [BR_ERR_X509_EXTRA_ELEMENT] = DAMAGED ": it has an element too many",
    [BR_ERR_X509_UNEXPECTED] = DAMAGED ": an element is out of place",
    [BR_ERR_X509_NOT_CONSTRUCTED] = DAMAGED ": an element is not constructed",
    [BR_ERR_X509_NOT_PRIMITIVE] = DAMAGED ": an element is not primitive",
    [BR_ERR_X509_PARTIAL_BYTE] = DAMAGED ": a bit string ends within a byte",
    [BR_ERR_X509_BAD_BOOLEAN] = DAMAGED ": a boolean is neither true nor false",
    [BR_ERR_X509_OVERFLOW] = DAMAGED ": a number is too large",
    [BR_ERR_X509_BAD_DN] = DAMAGED ": a name is malformed",
    [BR_ERR_X509_BAD_TIME] = DAMAGED ": a date is malformed",
    [BR_ERR_X509_UNSUPPORTED] = "the server's certificate has a feature that is not supported",
    [BR_ERR_X509_LIMIT_EXCEEDED] = "the server's chain is too large",
    [BR_ERR_X509_WRONG_KEY_TYPE] = "the server's key is of another type than its suite needs",
    [BR_ERR_X509_BAD_SIGNATURE] = "a signature in the server's chain is wrong",
    [BR_ERR_X509_TIME_UNKNOWN] = "this host's time is not known",
    [BR_ERR_X509_EXPIRED] = "a certificate of the server's chain is not valid at this time",
    [BR_ERR_X509_DN_MISMATCH] = "the server's chain is not one: issuers and subjects differ",
    [BR_ERR_X509_BAD_SERVER_NAME] = "the server's certificate is for another name",
    [BR_ERR_X509_CRITICAL_EXTENSION] =
        "the server's certificate has a critical extension that is not known",
    [BR_ERR_X509_NOT_CA] = "a certificate of the server's chain signs, but is no CA",
    [BR_ERR_X509_FORBIDDEN_KEY_USAGE] = "the server's key must not be used for TLS",
    [BR_ERR_X509_WEAK_PUBLIC_KEY] = "the server's key is weak",
    [BR_ERR_X509_NOT_TRUSTED] = "the server's chain leads to no anchor of ca_cert",
};

bool tls_error_is_foreign(int error)
{
    return error == BR_ERR_UNSUPPORTED_VERSION || error == BR_ERR_UNKNOWN_TYPE;
}

const char *tls_error_text(int error)
{
    if (error >= BR_ERR_SEND_FATAL_ALERT)
        return "the handshake was refused with an alert";
    if (error < 0 || (size_t)error >= sizeof texts / sizeof *texts || !texts[error])
        return "TLS failed";
    return texts[error];
}
