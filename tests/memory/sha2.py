# SPDX-License-Identifier: Apache-2.0
"""The inside of SHA-256 and SHA-384 (FIPS 180-4), which no library shows. HMAC keeps it of a key: it is one, too."""

import functools


def primes(count):
    found, number = [], 2
    while len(found) < count:
        if all(number % each for each in found):
            found.append(number)
        number += 1
    return found


def fraction(number, power, bits):
    """The first bits behind the point of a square root (power 2) or cube root (3)."""
    scaled = number << power * bits
    low, high = 0, 1 << bits + 8
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**power <= scaled else (low, middle)
    return low % (1 << bits)


class Kind:
    def __init__(self, bits, rounds, start, big, small):
        self.bits, self.rounds, self.big, self.small = bits, rounds, big, small
        self.start = [fraction(prime, 2, bits) for prime in primes(16)[start : start + 8]]
        self.constants = [fraction(prime, 3, bits) for prime in primes(rounds)]


KINDS = {
    "sha256": Kind(32, 64, 0, ((2, 13, 22), (6, 11, 25)), ((7, 18, 3), (17, 19, 10))),
    "sha384": Kind(64, 80, 8, ((28, 34, 39), (14, 18, 41)), ((1, 8, 7), (19, 61, 6))),
}


@functools.cache
def first_state(block, name):
    """The eight words after the first block, and the bytes of one."""
    kind = KINDS[name]
    mask, size = (1 << kind.bits) - 1, kind.bits // 8

    def turned(word, by):
        return (word >> by | word << kind.bits - by) & mask

    def mixed(word, ways):
        return turned(word, ways[0]) ^ turned(word, ways[1]) ^ turned(word, ways[2])

    def spread(word, ways):
        return turned(word, ways[0]) ^ turned(word, ways[1]) ^ word >> ways[2]

    words = [int.from_bytes(block[at : at + size], "big") for at in range(0, 16 * size, size)]
    for at in range(16, kind.rounds):
        near, far = spread(words[at - 15], kind.small[0]), spread(words[at - 2], kind.small[1])
        words.append((words[at - 16] + near + words[at - 7] + far) & mask)
    a, b, c, d, e, f, g, h = kind.start
    for word, constant in zip(words, kind.constants, strict=True):
        first = h + mixed(e, kind.big[1]) + (e & f ^ ~e & g) + constant + word
        second = mixed(a, kind.big[0]) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (first + second) & mask, a, b, c, (d + first) & mask, e, f, g
    return [(old + new) & mask for old, new in zip(kind.start, (a, b, c, d, e, f, g, h), strict=True)], size
