/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include "base/log.h"

/*
 * A line of the log. A longer one is cut: an event is a fact, not a dump. It is no longer than
 * PIPE_BUF, so that a pipe takes all of it or nothing, and no other line comes between.
 */
#define LOG_LINE_MAX 4096
struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool full;
};

/*
 * A line: first the head (time, level, event), then the fields, then the end. A field that does not
 * fit even when cut is left out; there is always room for the end. Zero-initialise len before.
 */
void log_line_head(struct log_line *line, enum log_format format, enum log_level level,
                   const char *event);
void log_line_field(struct log_line *line, enum log_format format, const struct log_field *field);
void log_line_end(struct log_line *line, enum log_format format);

#endif
