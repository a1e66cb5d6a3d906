/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/decimal.h"

static int64_t read_ms(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now); /* fails for unknown clocks only; these are in every kernel */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_processor(void)
{
    return read_ms(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_wall(void)
{
    return read_ms(CLOCK_REALTIME) / 1000;
}

int64_t clock_left(int64_t at_ms)
{
    int64_t left = at_ms - clock_ms();

    return left > 0 ? left : 0;
}

int64_t clock_share(int64_t at_ms, size_t among)
{
    const int64_t left = clock_left(at_ms);

    return at_ms - left + left / (int64_t)(among < CLOCK_SHARES_MAX ? among : CLOCK_SHARES_MAX);
}

void clock_sleep(int64_t ms, int64_t at_ms)
{
    int64_t left = clock_left(at_ms);
    struct timespec rest;

    if (ms > left)
        ms = left;
    if (ms <= 0)
        return;
    rest.tv_sec = (time_t)(ms / 1000);
    rest.tv_nsec = (long)(ms % 1000) * 1000000;
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        continue;
}

/* Days from 1970-01-01; years begin in March here, so that the leap day is a year's last. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

int64_t clock_from_civil(const struct civil *civil)
{
    int64_t hours = days_from_civil(civil->year, civil->month, civil->day) * 24 + civil->hour;

    return (hours * 60 + civil->minute) * 60 + civil->second;
}

void clock_to_civil(int64_t seconds, struct civil *civil)
{
    int64_t days = seconds / 86400, rest = seconds % 86400;
    int64_t era, day_of_era, year_of_era, day_of_year, month;

    if (rest < 0) {
        rest += 86400;
        days--;
    }
    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    day_of_era = days - era * 146097;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    civil->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    civil->month = (int)(month < 10 ? month + 3 : month - 9);
    civil->year = (int)(year_of_era + era * 400 + (civil->month <= 2));
    civil->hour = (int)(rest / 3600);
    civil->minute = (int)(rest / 60 % 60);
    civil->second = (int)(rest % 60);
}

void clock_format(char out[CLOCK_TEXT_MAX], int64_t seconds)
{
    struct civil civil;

    clock_to_civil(seconds, &civil);
    (void)snprintf(out, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ", civil.year % 10000,
                   civil.month, civil.day, civil.hour, civil.minute, civil.second);
}

/* Reads count digits at text, or -1. */
static int digits(const char *text, size_t count)
{
    int64_t value;

    return decimal_read(bytes_of(text, count), &value) == count ? (int)value : -1;
}

static int seconds_of(const struct civil *civil, int64_t *seconds)
{
    if (civil->year < 0 || civil->month < 1 || civil->month > 12 || civil->day < 1 ||
        civil->day > 31 || civil->hour < 0 || civil->hour > 23 || civil->minute < 0 ||
        civil->minute > 59 || civil->second < 0 || civil->second > 60)
        return -1;
    *seconds = clock_from_civil(civil);
    return 0;
}

int clock_parse_http(const char *text, int64_t *seconds)
{
    static const char months[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec ";
    struct civil civil;
    char name[5] = "";
    const char *month;

    if (strlen(text) != strlen("Sun, 06 Nov 1994 08:49:37 GMT") || strcmp(text + 25, " GMT") != 0)
        return -1;
    memcpy(name, text + 8, 4);
    month = strstr(months, name);
    if (!month || (month - months) % 4 != 0)
        return -1;
    civil =
        (struct civil){digits(text + 12, 4), (int)(month - months) / 4 + 1, digits(text + 5, 2),
                       digits(text + 17, 2), digits(text + 20, 2),          digits(text + 23, 2)};
    return seconds_of(&civil, seconds);
}

int clock_parse(const char *text, int64_t *seconds)
{
    struct civil civil;
    const char *end;

    if (strlen(text) < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
        text[13] != ':' || text[16] != ':')
        return -1;
    civil = (struct civil){digits(text, 4),      digits(text + 5, 2),  digits(text + 8, 2),
                           digits(text + 11, 2), digits(text + 14, 2), digits(text + 17, 2)};
    end = text + 19;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0)
        return -1;
    return seconds_of(&civil, seconds);
}
