/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFIG_OPTION_SETTERS_H
#define CONFIG_OPTION_SETTERS_H

struct option;
struct parse;

/*
 * How the value of an option gets into the configuration. text lives as long as that does. NULL;
 * else why it is no value, a clause behind the option's name, or setter_no_memory.
 */
typedef const char *option_setter(struct parse *parse, const struct option *option,
                                  const char *text);
option_setter set_text, set_bool, set_choice, set_second, set_duration, set_number, set_mode,
    set_owner, set_reader, set_secret, set_endpoint, set_texts, set_expect_ca, set_binding,
    set_roots, set_time, set_rollback, set_words, set_signal, set_wave;

extern const char setter_no_memory[]; /* a clause that is none */

#endif
