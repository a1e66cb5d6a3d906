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

/* Time, level and event; then each field, or none of it where there is no room even for a cut one;
 * then the end, for which there always is. Zero-initialise len before. */
void log_line_head(struct log_line *line, enum log_format format, enum log_level level,
                   const char *event);
void log_line_field(struct log_line *line, enum log_format format, const struct log_field *field);
void log_line_end(struct log_line *line, enum log_format format);

#endif
