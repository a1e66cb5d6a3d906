# SPDX-License-Identifier: Apache-2.0
"""What fuzz_tls13 begins with: handshakes as they should be, and each thing in them that must not be so, once."""

import hashlib


def vector(size, *parts):
    body = b"".join(parts)
    return len(body).to_bytes(size, "big") + body


def message(number, *parts):
    return bytes([number]) + vector(3, *parts)


def extension(number, *parts):
    return number.to_bytes(2, "big") + vector(2, *parts)


# fuzz_tls13.c has the same: what is said (enum saying), before which message (enum before), and the choices.
TICKET, UPDATE, DATA, ALERT, SHAKE, CHANGE, CLEAR, ASKS, CLOSES, DEAF = range(10)
LONG = 255
RETRY, HELLO, EXTENSIONS, REQUEST, CERTIFICATE, VERIFY, FINISHED = range(1, 8)
EC, BELIEVES, RESUMES = 1, 16, 32  # of the client (client.h)
REQUESTS, RETRIES = 16, 32 | 1  # of the server, which wants P-256
OFFERS_PROTOCOL, ONLY_13 = 64, 128  # beside the kind of key
BOTH = RETRIES | REQUESTS
AGAIN = EC | BELIEVES | RESUMES


def said(what, content=b"", before=0):
    return bytes([what | 16 * before, len(content)]) + content


def at_length(what, content, before=0):
    """The same with that content again and again."""
    return bytes([what | 16 * before, LONG]) + content


# What is done to a message (peer.c), with 16 times how many bytes more than one; FITS: its length is then right.
SET, PUT_IN, TAKEN_OUT, DROPPED, PUT_BEHIND, TYPED = 1, 2, 3, 5, 6, 7
FITS = 8


def changed(number, how, at=0, byte=0):
    return bytes([number, how]) + at.to_bytes(2, "big") + bytes([byte])


def tls13(*changes, text=b"", client=EC | BELIEVES, server=REQUESTS, kind=EC):
    return bytes([client, server, kind, len(changes)]) + b"".join(changes) + text


# ---- ServerHellos

RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()
VERSION = extension(43, b"\3\4")
SHARE = extension(51, b"\0\x1d", vector(2, b"s" * 32))
COOKIE = extension(44, b"\0\1c")
SESSION = extension(41, b"\0\0")
LIMIT, LOW_LIMIT = extension(28, b"\0\x40"), extension(28, b"\0\x3f")


def server_hello(*extensions, random=b"\1" * 32):
    return message(2, b"\3\3", random, b"\0", b"\xc0\x2b", b"\0", vector(2, *extensions))


LEGACY = (
    server_hello(),
    server_hello(extension(23), LIMIT),
    server_hello(LOW_LIMIT),
    server_hello(LIMIT) + message(14),
    server_hello(random=RETRY_RANDOM),
    server_hello(random=b"\1" * 24 + b"DOWNGRD\1"),
    server_hello()[:-2],
    message(2, b"\3\3"),
    message(2, b"\3\3", b"\1" * 32, b"\0\xc0\x2b\0"),
    message(0),
    message(1, b"no"),
)
WRONG = (
    (VERSION, VERSION),
    (VERSION, SHARE, SHARE),
    (VERSION, COOKIE),
    (VERSION, SESSION),
    (VERSION, extension(99)),
    (VERSION, b"\0"),
    (VERSION, extension(51, b"\0\x63")),
    (extension(43, b"\3\4\0"),),
    (extension(43, b"\3\5"),),
)
WRONG_RETRIES = ((COOKIE, COOKIE), (extension(44, b"\0\0"),), (SESSION,), (extension(51, b"\0\x17\0"),))
# Of the fuzzer's own: the suite, the extensions' length; then versions; then a session, or the share, with its lengths.
SUITE_AT, LENGTH_AT, BEHIND_VERSIONS, BODY_AT, VALUE_AT = 72, 75, 82, 85, 89
TOTAL = 46


def hellos():
    for hello in LEGACY:
        yield tls13(text=said(SHAKE, hello, RETRY))
    yield tls13(text=said(SHAKE, LEGACY[0], RETRY), kind=EC | ONLY_13)
    yield tls13(text=said(SHAKE, LEGACY[0], HELLO), server=RETRIES)
    for extensions in WRONG:
        yield tls13(text=said(SHAKE, server_hello(*extensions), RETRY))
    for extensions in WRONG_RETRIES:
        yield tls13(text=said(SHAKE, server_hello(VERSION, *extensions, random=RETRY_RANDOM), RETRY))
    for extensions in ((SESSION, SESSION), (extension(41, b"\0\1"),)):
        yield tls13(text=said(SHAKE, server_hello(VERSION, *extensions), RETRY), client=AGAIN)
    yield tls13(changed(0, SET, SUITE_AT, 7))
    yield tls13(changed(0, SET, SUITE_AT, 3), changed(1, SET, SUITE_AT, 1), server=RETRIES)
    yield tls13(changed(0x40, 0), server=RETRIES)  # twice
    yield tls13(changed(0, PUT_BEHIND | 16))
    other = changed(0, SET, SUITE_AT, 2)
    yield tls13(other, client=AGAIN)
    no_session = changed(0, TAKEN_OUT | FITS, BEHIND_VERSIONS, 5), changed(0, SET, LENGTH_AT, TOTAL)
    yield tls13(other, *no_session, client=AGAIN)
    yield tls13(client=AGAIN, server=BOTH)
    yield tls13(changed(0, TAKEN_OUT | FITS, BEHIND_VERSIONS, 39), changed(0, SET, LENGTH_AT, TOTAL - 40))
    lengths = changed(0, SET, LENGTH_AT, TOTAL - 1), changed(0, SET, BODY_AT, 35), changed(0, SET, VALUE_AT, 31)
    yield tls13(changed(0, TAKEN_OUT | FITS, 120), *lengths)
    zeros = changed(0, PUT_IN | 15 << 4, VALUE_AT + 1)
    yield tls13(changed(0, TAKEN_OUT, VALUE_AT + 1, 31), zeros, zeros)


# ---- the other messages, in the place of the fuzzer's own

ANSWERS = (
    (extension(16, vector(2, vector(1, b"http/1.1"))),),
    (extension(16, vector(2, vector(1, b"h2"))),),
    (extension(16, vector(2)),),
    (LIMIT,),
    (LOW_LIMIT,),
    (extension(28, b"\0"),),
    (extension(0, b"x"),),
    (LIMIT, LIMIT),
    (extension(10, b"\0\2\0\x1d"),),
    (VERSION,),
    (extension(13),),
    (extension(99),),
    (b"\0",),
)
SCHEMES, NAMES = extension(13, vector(2, b"\4\3")), extension(47, b"names")
ASKED = (
    b"\0" + vector(2, NAMES, SCHEMES),
    b"\0" + vector(2, NAMES),
    vector(1, b"c") + vector(2, SCHEMES),
    b"\0" + b"\0\5" + SCHEMES,
    b"\0" + vector(2, extension(13, vector(2, b"\4"))),
    b"\0" + vector(2, SCHEMES, SCHEMES),
    b"\0" + vector(2, extension(13, vector(2, b"\2\1"))),
    b"\0\0\x09\0\x2f\0\5",
    b"\0",
)
CHAINS = (
    b"\0" + vector(3),
    vector(1, b"c") + vector(3, vector(3, b"x"), b"\0\0"),
    b"\0" + vector(3, vector(3), b"\0\0"),
    b"\0\0\0\7\0\0\x09xxxx",
    b"\0" + vector(3, vector(3, b"x"), vector(2, b"e")),
    b"\0" + vector(3, vector(3, b"x"), b"\0\0"),
)
# Numbers of messages: ServerHello, EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished.
CHANGES = (
    changed(4, SET, 4, 9),
    changed(4, SET, 5, 4),
    changed(4, PUT_BEHIND | FITS | 16, 0, 1),
    changed(4, 0, 20, 1),
    changed(5, PUT_BEHIND | FITS | 16),
    changed(5, PUT_BEHIND | 16),
    changed(5, 0, 9, 1),
    changed(4, TYPED, 0, 20),
    changed(2, TYPED, 0, 24),
)


def flights():
    for extensions in ANSWERS:
        for kind in (EC, EC | OFFERS_PROTOCOL):
            yield tls13(changed(1, DROPPED), text=said(SHAKE, message(8, vector(2, *extensions)), REQUEST), kind=kind)
    yield tls13(text=said(SHAKE, message(8, vector(2), b"x"), EXTENSIONS))
    for body in ASKED:
        yield tls13(changed(2, DROPPED), text=said(SHAKE, message(13, body), CERTIFICATE))
    for body in CHAINS:
        yield tls13(changed(3, DROPPED), text=said(SHAKE, message(11, body), VERIFY))
    for change in CHANGES:
        yield tls13(change)
        yield tls13(change, client=EC)
    yield tls13(changed(4, SET, 4, 9), kind=0, client=BELIEVES)


# ---- what comes between the messages, and behind them

KEY_UPDATE = message(24, b"\1")
HEAD = b"\0" * 8  # of a ticket: how long it lasts, what is added to its age
BEHIND = (
    message(4, b"no"),
    message(4, b"\xff" * 8, vector(1), vector(2, b"t"), vector(2)),
    message(4, HEAD, vector(1), vector(2), vector(2)),
    message(4, HEAD, vector(1), vector(2, b"t"), b"\0\1"),
    message(4, HEAD, vector(1), b"\1\0t"),
    message(4, HEAD, b"\xffn"),
    message(24, b"\1\1"),
    message(24, b"\2"),
    KEY_UPDATE + KEY_UPDATE,
    message(13, b"no"),
    b"\x04\0\x09",
)


def between(before):
    for alert in (b"\1\0", b"\2\x28", b"\1\x5a", b"\2", b"\2\x28\0"):
        yield said(ALERT, alert, before) + said(ALERT, b"\x28", before)
    for content in (b"\x17" + b"x" * 20, b"\x15\1", b"\x16\0", b"\x17\0"):
        yield said(CLEAR, content, before)
    yield said(DEAF, b"x", before) + said(ASKS, b"x" * 40, before) + said(UPDATE, b"\1", before)
    yield at_length(DATA, b"xy", before)


def records():
    for content in (b"\1", b"\2", b"\1\1"):
        within = b"".join(said(CHANGE, content, before) for before in (HELLO, EXTENSIONS, FINISHED))
        yield tls13(text=within, server=BOTH)
        yield tls13(text=said(CHANGE, content))
    yield tls13(text=said(SHAKE, b"\2\0", HELLO) + said(ALERT, b"\1\0", HELLO), server=RETRIES)
    for before in range(8):
        for text in between(before):
            yield tls13(text=text, server=BOTH)
        after = said(SHAKE, KEY_UPDATE, before) + said(DATA, b"x", before) + said(ALERT, b"\1\0", before)
        yield tls13(text=said(CLOSES, before=before) + after, server=RETRIES)
    for content in BEHIND:
        yield tls13(text=said(SHAKE, content), client=AGAIN)
        yield tls13(text=said(SHAKE, content) + said(DATA, b"x"))
    yield tls13(text=said(DEAF, b"x", RETRY), server=RETRIES)
    yield tls13(text=said(DATA, b"x") + said(ASKS, b"x") + said(UPDATE, b"\1"))
    yield tls13(text=at_length(TICKET, b"t"), client=AGAIN)
    small = said(SHAKE, message(8, vector(2, LIMIT)), REQUEST)
    yield tls13(changed(1, DROPPED), text=small + said(ASKS, b"x" * 200) + said(UPDATE, b"\1"))


def all_inputs():
    """
    Handshakes with each group, suite and key, plain and with what fuzz_tls13 can do, with tickets, KeyUpdates and data
    behind them; then what is wrong.
    """
    behind = said(TICKET) + said(UPDATE, b"\1") + said(UPDATE, b"\0") + said(DATA, b"ok") + said(ALERT, b"\1\0")
    for way in range(0, 256, 16):
        yield tls13(text=behind, server=way | 1)
        yield tls13(text=behind, client=EC | RESUMES, server=way | 4, kind=ONLY_13)
    for group in range(4):
        for suite in range(0, 12, 4):
            for kind in range(3):
                way = group | suite | REQUESTS | 32 * (kind > 0)
                yield tls13(text=behind, client=kind, server=way, kind=kind)
    for at in range(8):
        for change in range(16):
            yield tls13(changed(at, change, 4 + at, 1 << at % 8), text=behind)
    yield from hellos()
    yield from flights()
    yield from records()
