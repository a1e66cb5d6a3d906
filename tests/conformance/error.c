/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "net/http.h"

/* Cuts a line off the text, without its end. */
static struct bytes next_line(struct bytes *text)
{
    const uint8_t *feed = text->len ? memchr(text->data, '\n', text->len) : NULL;
    struct bytes line = {text->data, feed ? (size_t)(feed - text->data) : text->len};
    size_t taken = line.len + (feed != NULL);

    *text = bytes_of(text->data + taken, text->len - taken);
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

static void keep(struct bytes line, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);

    if (line.len <= len || strncasecmp((const char *)line.data, name, len) != 0)
        return;
    for (line = bytes_of(line.data + len, line.len - len); line.len > 0 && *line.data == ' ';)
        line = bytes_of(line.data + 1, line.len - 1);
    (void)snprintf(out, size, "%.*s", (int)line.len, (const char *)line.data);
}

/* Header lines, behind a status line if there is one, up to an empty line. */
static void read_head(struct http_response *response, struct bytes *text)
{
    char status[64] = "HTTP/1.1 400";
    struct bytes line;

    while ((line = next_line(text)).len > 0) {
        if (strncmp((const char *)line.data, "HTTP/", 5) == 0)
            (void)snprintf(status, sizeof status, "%.*s", (int)line.len, (const char *)line.data);
        keep(line, "x-amzn-ErrorType:", response->error_type, sizeof response->error_type);
        keep(line, "x-amzn-RequestId:", response->request_id, sizeof response->request_id);
        keep(line, "Date:", response->date, sizeof response->date);
    }
    response->status = atoi(status + strcspn(status, " "));
}

int conformance_error(int argc, char **argv)
{
    struct http_response response = {.result = HTTP_ANSWERED, .body.tag = ARENA_DOCUMENT};
    struct buf text = {0};
    struct aws_error error;
    struct bytes rest;

    if (conformance_read(argc, argv, &text) < 0)
        return CONFORMANCE_USAGE;
    rest = buf_bytes(&text);
    read_head(&response, &rest);
    (void)buf_append(&response.body, rest.data, rest.len);
    aws_error_read(&error, &response);
    puts(error.code);
    fprintf(stderr, "%s: %s\n%s\n", err_info(error.means)->name, error.text,
            err_info(error.means)->remedy);
    buf_free(&text);
    return 0;
}
