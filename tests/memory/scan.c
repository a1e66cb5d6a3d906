/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds pieces of secrets in memory, fast enough to look at a whole process hundreds of times.
 * Loaded by look.py. Every run of WINDOW bytes of every needle is looked for at every offset.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 16, FILTER_BITS = 20, VARIETY = 6 };

struct place {
    uint64_t head; /* the window's first bytes */
    const uint8_t *window;
    uint32_t needle;
};

struct table {
    uint8_t *bytes;
    struct place *places; /* open addressing; window NULL: free */
    size_t mask;
    uint8_t filter[1 << (FILTER_BITS - 3)];
};

struct hit {
    uint64_t offset;
    uint32_t needle;
    uint32_t len; /* of the run that is the same, WINDOW at least */
};

static uint64_t load(const uint8_t *data)
{
    uint64_t value;

    memcpy(&value, data, sizeof value);
    return value;
}

static uint64_t mix(uint64_t value)
{
    return value * 0x9E3779B97F4A7C15u;
}

/* Runs of zeros and the like are in every memory. */
static int is_various(const uint8_t *window)
{
    int seen = 0, i, j;

    for (i = 0; i < WINDOW; i++) {
        for (j = 0; j < i && window[j] != window[i]; j++)
            continue;
        seen += j == i;
    }
    return seen >= VARIETY;
}

static void add(struct table *table, const uint8_t *window, uint32_t needle)
{
    const uint64_t hash = mix(load(window));
    size_t at = (size_t)(hash >> 20) & table->mask;

    while (table->places[at].window)
        at = (at + 1) & table->mask;
    table->places[at] = (struct place){load(window), window, needle};
    table->filter[hash >> (64 - FILTER_BITS) >> 3] |=
        (uint8_t)(1u << (hash >> (64 - FILTER_BITS) & 7));
}

/* bytes: count needles, one behind the other, of these lengths. */
struct table *table_new(const uint8_t *bytes, const uint32_t *lens, uint32_t count)
{
    struct table *table = calloc(1, sizeof *table);
    size_t total = 0, size = 1024, at;
    uint32_t needle;

    for (needle = 0; needle < count; needle++)
        total += lens[needle];
    while (size < 2 * total)
        size *= 2;
    table->bytes = malloc(total + 1);
    memcpy(table->bytes, bytes, total);
    table->places = calloc(size, sizeof *table->places);
    table->mask = size - 1;
    for (needle = 0, total = 0; needle < count; total += lens[needle++])
        for (at = 0; at + WINDOW <= lens[needle]; at++)
            if (is_various(table->bytes + total + at))
                add(table, table->bytes + total + at, needle);
    return table;
}

void table_free(struct table *table)
{
    free(table->places);
    free(table->bytes);
    free(table);
}

static const struct place *find(const struct table *table, const uint8_t *data)
{
    const uint64_t head = load(data), hash = mix(head);
    size_t at;

    if (!(table->filter[hash >> (64 - FILTER_BITS) >> 3] >> (hash >> (64 - FILTER_BITS) & 7) & 1))
        return NULL;
    for (at = (size_t)(hash >> 20) & table->mask; table->places[at].window;
         at = (at + 1) & table->mask)
        if (table->places[at].head == head && memcmp(table->places[at].window, data, WINDOW) == 0)
            return &table->places[at];
    return NULL;
}

/* Fills hits with what is found, in order; how many, max at most. */
size_t scan(const struct table *table, const uint8_t *data, size_t len, struct hit *hits,
            size_t max)
{
    const struct place *place;
    size_t count = 0, at;
    struct hit *last;

    for (at = 0; at + WINDOW <= len; at++) {
        place = find(table, data + at);
        if (!place)
            continue;
        last = count > 0 ? &hits[count - 1] : NULL;
        if (last && last->needle == place->needle && at <= last->offset + last->len) {
            last->len = (uint32_t)(at + WINDOW - last->offset);
            continue;
        }
        if (count == max)
            break;
        hits[count++] = (struct hit){at, place->needle, WINDOW};
    }
    return count;
}
