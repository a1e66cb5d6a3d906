/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <stddef.h>

/*
 * An HTTP server on a loopback port that gives prepared replies, one a request and connection, in
 * their order, and keeps the first requests. After the last reply its port is closed; without any,
 * it was never open.
 */
enum { FAKE_SERVER_MAX = 16, FAKE_SERVER_TEXT_MAX = 8192 };

struct fake_server;

/* replies: raw HTTP ("HTTP/1.1 200 OK\r\n..."), see fake_reply(); "" closes without an answer. */
struct fake_server *fake_server_start(const char *const *replies, size_t count);

/* One that gives the same reply to whatever comes, without end. */
struct fake_server *fake_server_repeat(const char *reply);

/* One whose connections stay for the next reply; one of "" ends its connection. */
struct fake_server *fake_server_stay(const char *const *replies, size_t count);

/* "http://127.0.0.1:PORT", until the server is stopped. */
const char *fake_server_url(const struct fake_server *server);

/* Ends the server; how many requests came. */
size_t fake_server_stop(struct fake_server *server);

/* The text of request i of the server that was stopped last, "" where none came. */
const char *fake_server_request(size_t i);

/* A reply of that status, header lines ("Name: value\r\n", may be "") and body; good until 16 more.
 */
const char *fake_reply(int status, const char *headers, const char *body);

#endif
