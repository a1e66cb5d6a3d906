/* SPDX-License-Identifier: Apache-2.0 */
/* An enclave by Mbed TLS, one connection at a time. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "common.h"

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context random_;
static mbedtls_x509_crt chain, clients;
static mbedtls_pk_context key;
static mbedtls_ssl_config config;

static int read_files(const char *directory)
{
    char path[512];

    path_of(path, sizeof path, directory, "server.crt");
    if (mbedtls_x509_crt_parse_file(&chain, path) != 0)
        return -1;
    path_of(path, sizeof path, directory, "clients.crt");
    if (mbedtls_x509_crt_parse_file(&clients, path) != 0)
        return -1;
    path_of(path, sizeof path, directory, "server.key");
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    return mbedtls_pk_parse_keyfile(&key, path, NULL);
#else
    return mbedtls_pk_parse_keyfile(&key, path, NULL, mbedtls_ctr_drbg_random, &random_);
#endif
}

static int make(const char *directory, char **words)
{
    static const mbedtls_ecp_group_id p384[] = {MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE};

    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random_);
    mbedtls_x509_crt_init(&chain);
    mbedtls_x509_crt_init(&clients);
    mbedtls_pk_init(&key);
    mbedtls_ssl_config_init(&config);
    if (mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy, NULL, 0) != 0 ||
        read_files(directory) != 0 ||
        mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_own_cert(&config, &chain, &key) != 0)
        return -1;
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random_);
    mbedtls_ssl_conf_ca_chain(&config, &clients, NULL);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    if (has(words, "p384"))
        mbedtls_ssl_conf_curves(&config, p384);
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    if (has(words, "tls12"))
        mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
    if (has(words, "tls13"))
        mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_3);
#endif
    return 0;
}

static void serve(int fd)
{
    mbedtls_net_context client = {.fd = fd};
    mbedtls_ssl_context ssl;
    unsigned char request[4096];
    int failed;

    mbedtls_ssl_init(&ssl);
    if (mbedtls_ssl_setup(&ssl, &config) != 0)
        exit(1);
    mbedtls_ssl_set_bio(&ssl, &client, mbedtls_net_send, mbedtls_net_recv, NULL);
    failed = mbedtls_ssl_handshake(&ssl);
    if (failed)
        (void)fprintf(stderr, "handshake: -0x%04x\n", (unsigned)-failed);
    else if (mbedtls_ssl_read(&ssl, request, sizeof request) > 0)
        (void)mbedtls_ssl_write(&ssl, (const unsigned char *)ANSWER, strlen(ANSWER));
    (void)mbedtls_ssl_close_notify(&ssl);
    mbedtls_ssl_free(&ssl);
    mbedtls_net_free(&client);
}

int main(int argc, char **argv)
{
    int listener;

    if (argc < 3 || make(argv[1], argv + 3) != 0) {
        (void)fprintf(stderr, "no configuration\n");
        return 1;
    }
    listener = listen_on(argv[2]);
    for (;;)
        serve(accept(listener, NULL, NULL));
}
