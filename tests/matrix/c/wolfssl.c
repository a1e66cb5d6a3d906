/* SPDX-License-Identifier: Apache-2.0 */
/* An enclave by wolfSSL, one connection at a time. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "common.h"

static WOLFSSL_CTX *make(const char *directory, char **words)
{
    WOLFSSL_METHOD *method = has(words, "tls12")   ? wolfTLSv1_2_server_method()
                             : has(words, "tls13") ? wolfTLSv1_3_server_method()
                                                   : wolfSSLv23_server_method();
    WOLFSSL_CTX *context = wolfSSL_CTX_new(method);
    char cert[512], key[512], clients[512];
    int p384[] = {WOLFSSL_ECC_SECP384R1};

    path_of(cert, sizeof cert, directory, "server.crt");
    path_of(key, sizeof key, directory, "server.key");
    path_of(clients, sizeof clients, directory, "clients.crt");
    if (!context || wolfSSL_CTX_use_certificate_chain_file(context, cert) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_PrivateKey_file(context, key, WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_load_verify_locations(context, clients, NULL) != WOLFSSL_SUCCESS ||
        (has(words, "p384") && wolfSSL_CTX_set_groups(context, p384, 1) != WOLFSSL_SUCCESS))
        return NULL;
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
    return context;
}

int main(int argc, char **argv)
{
    WOLFSSL_CTX *context;
    int listener;

    if (argc < 3 || wolfSSL_Init() != WOLFSSL_SUCCESS || !(context = make(argv[1], argv + 3))) {
        (void)fprintf(stderr, "no context\n");
        return 1;
    }
    listener = listen_on(argv[2]);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        WOLFSSL *ssl = wolfSSL_new(context);
        char request[4096];

        if (client < 0 || !ssl)
            return 1;
        (void)wolfSSL_set_fd(ssl, client);
        if (wolfSSL_accept(ssl) != WOLFSSL_SUCCESS)
            (void)fprintf(stderr, "handshake: %d\n", wolfSSL_get_error(ssl, 0));
        else if (wolfSSL_read(ssl, request, sizeof request) > 0)
            (void)wolfSSL_write(ssl, ANSWER, (int)strlen(ANSWER));
        (void)wolfSSL_shutdown(ssl);
        wolfSSL_free(ssl);
        (void)close(client);
    }
}
