/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"

static char folder[] = "/tmp/test-base-XXXXXX";

static int set_up(void **state)
{
    struct arena_options options = {.lock_preferred = true};
    struct err err;

    (void)state;
    return arena_open(&options, &err) < 0 || !mkdtemp(folder) || chdir(folder) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int decode(const char *text, int skip_space, char *out)
{
    struct buf buf = {.tag = ARENA_DOCUMENT};
    int result = base64_decode(&buf, bytes_of_text(text), skip_space);

    if (result == 0)
        (void)snprintf(out, 64, "%s", buf.data ? (char *)buf.data : "");
    buf_free(&buf);
    return result;
}

/* RFC 4648 section 10, and what must not pass. */
static void base64_reads_what_is_base64(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"Zg==", "f"},
                                           {"Zm8=", "fo"},
                                           {"Zm9v", "foo"},
                                           {"Zm9vYg==", "foob"},
                                           {"Zm9vYmE=", "fooba"},
                                           {"Zm9vYmFy", "foobar"}};
    static const char *const bad[] = {"Z",    "Zg",    "Zg=",      "Zh==", "Zm9=", "=",    "====",
                                      "Z===", "Zm9v=", "Zg==Zg==", "Zm9-", "Zm9_", "Zm 9v"};
    struct buf encoded = {.tag = ARENA_DOCUMENT};
    char out[64];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(decode(pairs[i][0], 0, out), 0);
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(base64_encode(&encoded, bytes_of_text(pairs[i][1]), 0), 0);
        assert_string_equal(encoded.data ? (char *)encoded.data : "", pairs[i][0]);
        buf_free(&encoded);
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(decode(bad[i], 0, out), -1);
    assert_int_equal(decode(" Zm\r\n9v\t", 1, out), 0);
    assert_string_equal(out, "foo");
}

static void base64_breaks_lines(void **state)
{
    struct buf out = {.tag = ARENA_DOCUMENT};

    (void)state;
    assert_int_equal(base64_encode(&out, bytes_of_text("0123456789"), 8), 0);
    assert_string_equal((char *)out.data, "MDEyMzQ1\nNjc4OQ==\n");
    buf_free(&out);
    assert_int_equal(base64_encode(&out, bytes_of_text("012345"), 8), 0);
    assert_string_equal((char *)out.data, "MDEyMzQ1\n");
    buf_free(&out);
}

static void clock_converts_both_ways(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},          {"2000-02-29T12:34:56Z", 951827696},
        {"2026-11-23T10:00:00Z", 1795428000}, {"2100-03-01T00:00:00Z", 4107542400},
        {"1969-12-31T23:59:59Z", -1},         {"9999-12-31T23:59:59Z", 253402300799},
    };
    char text[CLOCK_TEXT_MAX];
    int64_t seconds;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(clock_parse(cases[i].text, &seconds), 0);
        assert_int_equal(seconds, cases[i].seconds);
        clock_format(text, seconds);
        assert_string_equal(text, cases[i].text);
    }
    assert_int_equal(clock_parse("2026-11-23T10:00:00.123Z", &seconds), 0);
    assert_int_equal(clock_parse("2026-11-23T10:00:00", &seconds), -1);
    assert_int_equal(clock_parse("2026-13-23T10:00:00Z", &seconds), -1);
    assert_int_equal(clock_parse("2026-11-23 10:00:00Z", &seconds), -1);
    assert_int_equal(clock_parse("", &seconds), -1);
    assert_int_equal(clock_parse_http("Sun, 06 Nov 1994 08:49:37 GMT", &seconds), 0);
    assert_int_equal(seconds, 784111777);
    assert_int_equal(clock_parse_http("Thu, 29 Feb 2024 23:59:60 GMT", &seconds), 0);
    assert_int_equal(seconds, 1709251200);
    assert_int_equal(clock_parse_http("Sun, 06 nov 1994 08:49:37 GMT", &seconds), -1);
    assert_int_equal(clock_parse_http("Sun, 06 an F 1994 08:49:37 GMT", &seconds), -1);
    assert_int_equal(clock_parse_http("Sun, 06an F 1994 08:49:37 GMT", &seconds), -1);
    assert_int_equal(clock_parse_http("Sun, 06 Nov 1994 08:49:37 UTC", &seconds), -1);
    assert_int_equal(clock_parse_http("Sun, 06 Nov 1994 08:61:37 GMT", &seconds), -1);
    assert_int_equal(clock_parse_http("Sunday, 06-Nov-94 08:49:37 GMT", &seconds), -1);
}

static void sleep_ends_with_the_deadline(void **state)
{
    int64_t start = clock_ms();

    (void)state;
    clock_sleep(60000, start + 30);
    assert_true(clock_ms() - start >= 30);
    assert_true(clock_ms() - start < 30000);
    assert_int_equal(clock_left(start), 0);
}

/* RFC 4231 test case 2, FIPS 180-4's "abc". */
static void hashes_are_right(void **state)
{
    uint8_t hash[HASH_SIZE];
    char hex[HASH_HEX_SIZE];

    (void)state;
    hash_sha256(hash, bytes_of_text("abc"));
    hash_hex(hex, hash);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_hmac(hash, bytes_of_text("Jefe"), bytes_of_text("what do ya want for nothing?"));
    hash_hex(hex, hash);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void random_numbers_stay_below(void **state)
{
    int seen[5] = {0}, i;

    (void)state;
    for (i = 0; i < 500; i++)
        seen[random_below(5)]++;
    for (i = 0; i < 5; i++)
        assert_true(seen[i] > 0);
    assert_int_equal(random_below(1), 0);
    assert_int_equal(random_below(0), 0);
}

static void put_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes_of_text(text)), 0);
    close(fd);
}

static void files_are_read_whole_or_not(void **state)
{
    struct buf buf = {.tag = ARENA_DOCUMENT, .max = 5};

    (void)state;
    put_file("five", "12345");
    assert_int_equal(fs_read(AT_FDCWD, "five", &buf), 0);
    assert_string_equal((char *)buf.data, "12345");
    buf_free(&buf);
    put_file("five", "123456");
    assert_int_equal(fs_read(AT_FDCWD, "five", &buf), -1);
    assert_int_equal(errno, EFBIG);
    buf_free(&buf);
    assert_int_equal(unlink("five"), 0);
    assert_int_equal(fs_read(AT_FDCWD, "five", &buf), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(fs_read(AT_FDCWD, "fifo", &buf), -1); /* and does not hang */
    assert_int_equal(errno, EINVAL);
    assert_int_equal(unlink("fifo"), 0);
}

/* A stranger's link may lead to a device, which would begin to work once it is opened. */
static void what_is_no_file_is_not_opened(void **state)
{
    struct buf buf = {.tag = ARENA_WORK};
    const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct inotify_event event;

    (void)state;
    assert_int_equal(mkfifo("device", 0600), 0);
    assert_int_equal(symlink("device", "link"), 0);
    assert_true(inotify_add_watch(watch, "device", IN_OPEN) >= 0);
    assert_int_equal(fs_read(AT_FDCWD, "link", &buf), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(read(watch, &event, sizeof event), -1);
    assert_int_equal(errno, EAGAIN);
    put_file("whole", "text");
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(symlink("whole", "link"), 0);
    assert_int_equal(fs_read(AT_FDCWD, "link", &buf), 0);
    assert_int_equal(buf.len, 4);
    assert_int_equal(unlink("link") + unlink("whole") + unlink("device"), 0);
    close(watch);
    buf_free(&buf);
}

static void check_redacted(const char *remote, const char *expected)
{
    char out[256];

    redact(out, sizeof out, bytes_of_text(remote));
    assert_string_equal(out, expected);
}

static void remote_text_is_made_fit(void **state)
{
    char *token = arena_alloc(64, ARENA_TOKEN), long_text[1000], out[256], small[8];

    (void)state;
    memcpy(token, "IQoJb3JpZ2luX2VjEMr", 19);
    check_redacted("plain words", "plain words");
    check_redacted("first line\nsecond", "first line");
    check_redacted("bell\x07 and \x1b[31m", "bell\\x07 and \\x1B[31m");
    check_redacted("caf\xc3\xa9", "caf\\xC3\\xA9");
    check_redacted("token IQoJb3JpZ2luX2VjEMr is bad", "token [masked] is bad");
    check_redacted("part JpZ2luX2VjEM only", "part [masked] only");
    check_redacted("short IQoJb3J", "short IQoJb3J");
    memset(long_text, 'a', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    redact(out, sizeof out, bytes_of_text(long_text));
    assert_int_equal(strlen(out), 200);
    redact(small, sizeof small, bytes_of_text("IQoJb3JpZ2luX2VjEMr"));
    assert_string_equal(small, "");
    arena_free(token);
}

/* What log_write() puts into a file, without the time in front. */
static void read_log(struct buf *out)
{
    assert_int_equal(fs_read(AT_FDCWD, "log", out), 0);
}

static void silence_stderr(void)
{
    int fd = open("/dev/null", O_WRONLY);

    assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

static void log_lines_cannot_be_forged(void **state)
{
    struct log_options options = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "log"};
    struct buf out = {.tag = ARENA_DOCUMENT};
    struct err err;
    int kept = dup(STDERR_FILENO);

    (void)state;
    silence_stderr();
    assert_int_equal(log_open(&options, &err), 0);
    log_event(LOG_LEVEL_INFO, "event", log_s("word", "plain"), log_s("text", "two words"),
              log_s("bad", "a\nb \"c\" = \x1b"), log_n("n", -5), log_s("absent", NULL));
    log_event(LOG_LEVEL_DEBUG, "hidden");
    assert_int_equal(rename("log", "log.1"), 0);
    log_event(LOG_LEVEL_WARNING, "second", log_s("s", ""));
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    read_log(&out);
    assert_string_equal((char *)out.data + 20, " warning second s=\"\"\n");
    buf_free(&out);
    assert_int_equal(rename("log.1", "log"), 0);
    read_log(&out);
    assert_string_equal((char *)out.data + 20, " info event word=plain text=\"two words\" "
                                               "bad=\"a\\u000ab \\\"c\\\" = \\u001b\" n=-5\n");
    buf_free(&out);
    assert_int_equal(unlink("log"), 0);
}

static void a_huge_field_does_not_break_a_line(void **state)
{
    static const char next[] = "...\",\"next\":\"one\"}\n"; /* it is cut, the next one is not */
    struct log_options options = {LOG_LEVEL_INFO, LOG_FORMAT_JSON, "log"};
    struct buf out = {.tag = ARENA_DOCUMENT};
    char huge[5000];
    struct err err;
    int kept = dup(STDERR_FILENO);

    (void)state;
    memset(huge, '\x01', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    silence_stderr();
    assert_int_equal(log_open(&options, &err), 0);
    log_event(LOG_LEVEL_INFO, "event", log_s("huge", huge), log_s("next", "one"));
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    read_log(&out);
    assert_int_equal(log_open(&(struct log_options){LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL}, &err),
                     0);
    assert_true(out.len < 2049);
    assert_string_equal((char *)out.data + out.len - strlen(next), next);
    assert_non_null(strstr((char *)out.data, "\"huge\":\"\\u0001\\u0001"));
    buf_free(&out);
    assert_int_equal(unlink("log"), 0);
}

static void every_error_is_explained(void **state)
{
    int code;

    (void)state;
    for (code = ERR_NONE + 1; code < ERR_CODES; code++) {
        const struct err_info *info = err_info((enum err_code)code);

        assert_non_null(info->name);
        /* sysexits.h, or 1 of what is found by a command that looks. */
        assert_true((info->exit_status >= 64 && info->exit_status <= 78) || info->exit_status == 1);
        assert_true(strlen(info->what) > 0 && strlen(info->remedy) > 0);
    }
    for (code = ERR_CODES + 1; code < ERR_CAUSES; code++) {
        struct err err;

        (void)err_set(&err, (enum err_code)code, "x", "y");
        assert_true(err.code > ERR_NONE && err.code < ERR_CODES);
        assert_ptr_equal(err_info((enum err_code)code), err_info(err.code));
        assert_string_not_equal(err_cause(&err), err_info(err.code)->name);
        assert_string_not_equal(err_remedy(&err), err_info(err.code)->remedy);
        err.code = err.code == ERR_SYSTEM ? ERR_CONFIG : ERR_SYSTEM; /* whatever the cause was */
        assert_string_equal(err_cause(&err), err_info(err.code)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_reads_what_is_base64),
        cmocka_unit_test(base64_breaks_lines),
        cmocka_unit_test(clock_converts_both_ways),
        cmocka_unit_test(sleep_ends_with_the_deadline),
        cmocka_unit_test(hashes_are_right),
        cmocka_unit_test(random_numbers_stay_below),
        cmocka_unit_test(files_are_read_whole_or_not),
        cmocka_unit_test(what_is_no_file_is_not_opened),
        cmocka_unit_test(remote_text_is_made_fit),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(a_huge_field_does_not_break_a_line),
        cmocka_unit_test(every_error_is_explained),
    };

    return cmocka_run_group_tests_name("base", tests, set_up, tear_down);
}
