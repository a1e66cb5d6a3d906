/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's TLS client under BoringSSL's ssl/test/runner: what libcurl does with the hook, by
 * the runner's words. A word that is not known here is a feature that the client does not have, and
 * the test is passed over (status 89).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bearssl.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/tls_impl.h"
#include "x509/key.h"

enum { UNIMPLEMENTED = 89, FILE_MAX = 1 << 16 };

static struct {
    int port, resume_count, read_size;
    int expect_version, expect_cipher, expect_curve;
    unsigned long long shim_id;
    long min_version, max_version;
    bool ipv6, writes_first, shuts_down, check_close, verify_fail;
    bool session_miss, expect_ems, retried, not_retried;
    const char *host, *alpn, *expect_alpn, *cert, *key;
} words;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static _Noreturn void pass_over(const char *what)
{
    fprintf(stderr, "not there: %s\n", what);
    exit(UNIMPLEMENTED);
}

/* ---- the runner's words */

/* They change nothing here: how BoringSSL is driven, what it would do as a server, or asks for. */
static const char *const ignored[] = {"-async",
                                      "-implicit-handshake",
                                      "-no-op-extra-handshake",
                                      "-peek-then-read",
                                      "-use-early-callback",
                                      "-no-tls11",
                                      "-no-tls1",
                                      "-no-ssl3",
                                      "-use-old-client-cert-callback",
                                      "-verify-peer",
                                      "-use-custom-verify-callback",
                                      "-no-legacy-server-connect",
                                      "-handshake-twice",
                                      "-forbid-renegotiation-after-handshake",
                                      "-no-ticket",
                                      "-expect-no-session",
                                      "-server-preference",
                                      "-expect-secure-renegotiation",
                                      NULL};
static const char *const ignored_with_value[] = {"-expect-peer-cert-file", "-trust-cert",
                                                 "-wait-for-debugger", NULL};

static bool is_in(const char *const *list, const char *word)
{
    while (*list && strcmp(*list, word) != 0)
        list++;
    return *list != NULL;
}

static bool take_flag(const char *word)
{
    static const struct {
        const char *word;
        bool *flag;
    } flags[] = {
        {"-ipv6", &words.ipv6},
        {"-shim-writes-first", &words.writes_first},
        {"-shim-shuts-down", &words.shuts_down},
        {"-check-close-notify", &words.check_close},
        {"-verify-fail", &words.verify_fail},
        {"-expect-session-miss", &words.session_miss},
        {"-expect-extended-master-secret", &words.expect_ems},
        {"-expect-hrr", &words.retried},
        {"-expect-no-hrr", &words.not_retried},
    };
    size_t i;

    for (i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(word, flags[i].word) == 0)
            return *flags[i].flag = true;
    return false;
}

static bool take_number(const char *word, const char *value)
{
    static const struct {
        const char *word;
        int *number;
    } numbers[] = {
        {"-port", &words.port},
        {"-resume-count", &words.resume_count},
        {"-read-size", &words.read_size},
        {"-expect-version", &words.expect_version},
        {"-expect-cipher", &words.expect_cipher},
        {"-expect-curve-id", &words.expect_curve},
    };
    size_t i;

    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(word, numbers[i].word) == 0) {
            *numbers[i].number = (int)strtol(value, NULL, 0);
            return true;
        }
    return false;
}

static bool take_text(const char *word, const char *value)
{
    static const struct {
        const char *word;
        const char **text;
    } texts[] = {
        {"-host-name", &words.host},      {"-cert-file", &words.cert},
        {"-key-file", &words.key},        {"-expect-alpn", &words.expect_alpn},
        {"-advertise-alpn", &words.alpn},
    };
    size_t i;

    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(word, texts[i].word) == 0) {
            *texts[i].text = value;
            return true;
        }
    return false;
}

static void read_words(int count, char **word)
{
    const char *value;
    int i;

    words.min_version = BR_TLS12;
    words.max_version = TLS13_VERSION;
    for (i = 1; i < count; i++) {
        value = i + 1 < count ? word[i + 1] : "";
        if (take_flag(word[i]) || is_in(ignored, word[i]))
            continue;
        if (strcmp(word[i], "-no-tls12") == 0) {
            words.min_version = TLS13_VERSION;
            continue;
        }
        if (strcmp(word[i], "-no-tls13") == 0) {
            words.max_version = BR_TLS12;
            continue;
        }
        if (strcmp(word[i], "-shim-id") == 0)
            words.shim_id = strtoull(value, NULL, 10);
        else if (strcmp(word[i], "-min-version") == 0)
            words.min_version = strtol(value, NULL, 0);
        else if (strcmp(word[i], "-max-version") == 0)
            words.max_version = strtol(value, NULL, 0);
        else if (!take_number(word[i], value) && !take_text(word[i], value) &&
                 !is_in(ignored_with_value, word[i]))
            pass_over(word[i]);
        i++;
    }
    if (words.max_version < BR_TLS12 || words.min_version > TLS13_VERSION)
        pass_over("version");
}

/* ---- the identity, and who is believed */

static size_t read_file(const char *path, unsigned char *out)
{
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(out, 1, FILE_MAX, file) : 0;

    if (len == 0)
        fail("file");
    (void)fclose(file);
    return len;
}

static unsigned char chain[FILE_MAX];
static size_t chain_len;

static void append(void *unused, const void *data, size_t len)
{
    (void)unused;
    memcpy(chain + chain_len, data, len);
    chain_len += len;
}

static void read_chain(struct identity *identity)
{
    static unsigned char pem[FILE_MAX];
    br_pem_decoder_context decoder;
    size_t at = 0, start = 0, len = read_file(words.cert, pem);

    br_pem_decoder_init(&decoder);
    while (at < len) {
        at += br_pem_decoder_push(&decoder, pem + at, len - at);
        switch (br_pem_decoder_event(&decoder)) {
        case BR_PEM_BEGIN_OBJ:
            start = chain_len;
            br_pem_decoder_setdest(&decoder, append, NULL);
            break;
        case BR_PEM_END_OBJ:
            if (identity->client.chain_count == IDENTITY_CHAIN_MAX)
                pass_over("a chain that long");
            identity->client.chain[identity->client.chain_count++] =
                bytes_of(chain + start, chain_len - start);
            break;
        case BR_PEM_ERROR: fail("PEM");
        }
    }
}

static struct identity *read_identity(void)
{
    static unsigned char pem[FILE_MAX];
    struct identity *identity = arena_alloc(sizeof *identity, ARENA_WORK);
    struct err err;

    if (!identity)
        fail("arena");
    read_chain(identity);
    identity->client.key = key_read(bytes_of(pem, read_file(words.key, pem)), "key", &err);
    if (!identity->client.key)
        pass_over("a key of this kind");
    return identity;
}

/* The runner's certificates are not what this is about: what their keys sign is. */
static br_x509_class believing;

static unsigned believe(const br_x509_class **class)
{
    struct tls_session *session =
        (struct tls_session *)(void *)((char *)class - offsetof(struct tls_session, x509));
    struct bytes certificates[VERIFY_CHAIN_MAX];
    char reason[CERT_REASON_MAX];

    (void)tls_peer_class.end_chain(class);
    session->record.verified = false;
    if (words.verify_fail) {
        fprintf(stderr, ":CERTIFICATE_VERIFY_FAILED:\n");
        return BR_ERR_X509_NOT_TRUSTED;
    }
    if (tls_session_chain(session, certificates) == 0 ||
        cert_parse(&session->leaf, certificates[0], reason) < 0 || session->leaf.key.key_type == 0)
        return BR_ERR_X509_UNSUPPORTED;
    session->record.verify = VERIFY_OK;
    session->record.verified = true;
    return 0;
}

/* ---- one connection */

struct connection {
    br_ssl_client_context tls;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
    struct tls_session *session;
    int fd;
    bool eof;
};

static int connect_to_runner(void)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)words.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)words.port),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(words.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    unsigned char id[8];
    size_t i;

    if (fd < 0 || (words.ipv6 ? connect(fd, (const void *)&v6, sizeof v6)
                              : connect(fd, (const void *)&v4, sizeof v4)) < 0)
        fail("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (i = 0; i < sizeof id; i++)
        id[i] = (unsigned char)(words.shim_id >> 8 * i);
    if (write(fd, id, sizeof id) != sizeof id)
        fail("write");
    return fd;
}

/* As libcurl's backend: the server hears why, and what it has said is read to the end. */
static void say_why(struct connection *connection)
{
    unsigned char rest[4096], *alert;
    size_t len;

    alert = br_ssl_engine_fatal_alert(&connection->tls.eng, &len);
    if (!alert || send(connection->fd, alert, len, MSG_NOSIGNAL) != (ssize_t)len)
        return;
    (void)shutdown(connection->fd, SHUT_WR);
    while (read(connection->fd, rest, sizeof rest) > 0)
        continue;
}

/* What the runner looks for, in BoringSSL's words; ours is an error a reason. */
static _Noreturn void fail_with(struct connection *connection, const char *where)
{
    int error = br_ssl_engine_last_error(&connection->tls.eng);

    say_why(connection);
    fprintf(stderr, "%s: error %d: %s\n", where, error, tls_error_text(error));
    if (error >= BR_ERR_RECV_FATAL_ALERT && error < BR_ERR_SEND_FATAL_ALERT)
        fprintf(stderr, "alert %d: %s\n", error - BR_ERR_RECV_FATAL_ALERT,
                tls_alert_name(error - BR_ERR_RECV_FATAL_ALERT));
    exit(1);
}

static void send_some(struct connection *connection)
{
    size_t len;
    unsigned char *data = br_ssl_engine_sendrec_buf(&connection->tls.eng, &len);
    ssize_t sent = send(connection->fd, data, len, MSG_NOSIGNAL);

    if (sent <= 0)
        connection->eof = true; /* what is pending tells more */
    br_ssl_engine_sendrec_ack(&connection->tls.eng, sent > 0 ? (size_t)sent : len);
}

enum ending { REACHED, CLOSED, CUT };

/* Until one of the target's states is reached, or it is over. */
static enum ending run_until(struct connection *connection, unsigned target)
{
    br_ssl_engine_context *engine = &connection->tls.eng;
    unsigned state;
    unsigned char *room;
    size_t len;
    ssize_t got;

    while ((state = br_ssl_engine_current_state(engine)) != BR_SSL_CLOSED) {
        if (state & BR_SSL_SENDREC) {
            send_some(connection);
            continue;
        }
        if (state & target)
            return REACHED;
        if (!(state & BR_SSL_RECVREC))
            fail("stuck");
        room = br_ssl_engine_recvrec_buf(engine, &len);
        got = read(connection->fd, room, len);
        if (got <= 0)
            return CUT;
        br_ssl_engine_recvrec_ack(engine, (size_t)got);
    }
    return CLOSED;
}

static void write_all(struct connection *connection, const unsigned char *data, size_t len)
{
    br_ssl_engine_context *engine = &connection->tls.eng;
    unsigned char *room;
    size_t n;

    while (len > 0) {
        if (run_until(connection, BR_SSL_SENDAPP) != REACHED)
            fail_with(connection, "write");
        room = br_ssl_engine_sendapp_buf(engine, &n);
        n = n < len ? n : len;
        memcpy(room, data, n);
        br_ssl_engine_sendapp_ack(engine, n);
        br_ssl_engine_flush(engine, 0);
        data += n;
        len -= n;
    }
    while (br_ssl_engine_current_state(engine) & BR_SSL_SENDREC)
        send_some(connection);
}

static void check(struct connection *connection, unsigned number)
{
    const br_ssl_engine_context *engine = &connection->tls.eng;
    const struct tls_record *record = tls_session_record(connection->session);
    const char *alpn = br_ssl_engine_get_selected_protocol(&connection->tls.eng);

    if (words.expect_version && record->version != words.expect_version)
        fail("version");
    if (words.expect_cipher && record->cipher_suite != words.expect_cipher)
        fail("cipher suite");
    if (words.expect_curve && engine->ecdhe_curve != words.expect_curve)
        fail("group");
    if (words.expect_ems && record->version == BR_TLS12 && !engine->session.ems)
        fail("no extended master secret");
    if (words.expect_alpn && (alpn ? strcmp(alpn, words.expect_alpn) : words.expect_alpn[0]) != 0)
        fail("protocol");
    if ((words.retried && !connection->session->tls13.retried) ||
        (words.not_retried && connection->session->tls13.retried))
        fail("HelloRetryRequest");
    if (number > 0 && record->resumed == words.session_miss) {
        if (!record->offered)
            pass_over("a session of that kind");
        fail("resumption");
    }
}

/* The runner's game: each byte comes back with all bits flipped. */
static void echo(struct connection *connection)
{
    unsigned char back[16384], *data;
    enum ending ending;
    size_t i, n;

    while ((ending = run_until(connection, BR_SSL_RECVAPP)) == REACHED) {
        data = br_ssl_engine_recvapp_buf(&connection->tls.eng, &n);
        if (words.read_size && (size_t)words.read_size < n)
            n = (size_t)words.read_size;
        for (i = 0; i < n; i++)
            back[i] = data[i] ^ 0xFF;
        br_ssl_engine_recvapp_ack(&connection->tls.eng, n);
        write_all(connection, back, n);
    }
    if (ending == CLOSED && br_ssl_engine_last_error(&connection->tls.eng) != BR_ERR_OK)
        fail_with(connection, "read");
    if (ending == CUT && words.check_close)
        fail("closed without close_notify");
}

static void shut_down(struct connection *connection)
{
    br_ssl_engine_close(&connection->tls.eng);
    if (!words.check_close) {
        while (br_ssl_engine_current_state(&connection->tls.eng) & BR_SSL_SENDREC)
            send_some(connection);
        return;
    }
    if (run_until(connection, BR_SSL_CLOSED) == CUT)
        fail("closed without close_notify");
    if (br_ssl_engine_last_error(&connection->tls.eng) != BR_ERR_OK)
        fail_with(connection, "close");
}

static const char *protocol_of(const char *list)
{
    static char name[256];
    size_t len = (unsigned char)list[0];

    if (strlen(list) != len + 1)
        pass_over("several protocols");
    memcpy(name, list + 1, len);
    name[len] = '\0';
    return name;
}

static void connect_once(const struct tls_policy *policy, struct tls_cache *cache, unsigned number)
{
    static struct connection connection;
    const char *protocol = words.alpn ? protocol_of(words.alpn) : NULL;

    memset(&connection, 0, sizeof connection);
    connection.session = tls_session_new(policy, cache, "runner");
    if (!connection.session)
        fail("session");
    connection.fd = connect_to_runner();
    br_ssl_client_zero(&connection.tls);
    br_ssl_engine_set_buffer(&connection.tls.eng, connection.buffer, sizeof connection.buffer, 1);
    if (protocol)
        br_ssl_engine_set_protocol_names(&connection.tls.eng, &protocol, 1);
    tls_hook(connection.session, &connection.tls);
    connection.session->x509 = &believing;
    if (!br_ssl_client_reset(&connection.tls, words.host,
                             connection.tls.eng.session.session_id_len != 0))
        fail_with(&connection, "begin");
    switch (run_until(&connection, BR_SSL_SENDAPP)) {
    case REACHED: break;
    case CLOSED: fail_with(&connection, "handshake");
    case CUT: fail("handshake: the connection was closed");
    }
    tls_session_connected(connection.session);
    check(&connection, number);
    if (words.writes_first)
        write_all(&connection, (const unsigned char *)"hello", 5);
    if (words.shuts_down)
        shut_down(&connection);
    else
        echo(&connection);
    connection.session->record.certificate_sent = true; /* sessions without one are kept as well */
    tls_session_settle(connection.session, true);
    (void)close(connection.fd);
    tls_session_free(connection.session);
}

int main(int argc, char **argv)
{
    const struct arena_options options = {.lock_preferred = true};
    struct tls_policy policy = {.name = "runner", .profile = VERIFY_PRIVATE};
    struct tls_cache *cache;
    struct err err;
    int i;

    if (argc > 1 && strcmp(argv[1], "-is-handshaker-supported") == 0)
        return puts("No") < 0;
    read_words(argc, argv);
    if (arena_open(&options, &err) < 0 || !(cache = tls_cache_new(TLS_CACHE_MAX, TLS_CACHE_EVERY)))
        fail("arena");
    policy.versions = words.max_version == BR_TLS12        ? TLS_12
                      : words.min_version == TLS13_VERSION ? TLS_13
                                                           : TLS_12_OR_13;
    if (words.cert && words.key)
        policy.identity = read_identity();
    believing = tls_peer_class;
    believing.end_chain = believe;
    for (i = 0; i <= words.resume_count; i++)
        connect_once(&policy, cache, (unsigned)i);
    return 0;
}
