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


def said(what, content=b"", before=0):
    """What fuzz_tls13 says besides (enum saying), before which message (enum before)."""
    return bytes([what | 16 * before, min(len(content), 255)]) + content


TICKET, UPDATE, DATA, ALERT, SHAKE, CHANGE, CLEAR, ASKS, CLOSES, DEAF = range(10)  # enum saying
RETRY, HELLO, EXTENSIONS, REQUEST, CERTIFICATE, VERIFY, FINISHED = range(1, 8)  # enum before
EC, BELIEVES, RESUMES = 1, 16, 32  # of the client (client.h)
REQUESTS, RETRIES = 16, 32 | 1  # of the server, which wants P-256
OFFERS_PROTOCOL, ONLY_13 = 64, 128  # beside the kind of key
SET, PUT_IN, TAKEN_OUT, DROPPED, PUT_BEHIND = 1, 2, 3, 5, 6  # what is done to a message; plus 8: its length is then right
RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()
VERSION = extension(43, b"\3\4")
LIMIT = extension(28, b"\0\x40")


def changed(number, how, at=0, byte=0):
    """A change of peer.c."""
    return bytes([number, how]) + at.to_bytes(2, "big") + bytes([byte])


def tls13(changes=(), text=b"", client=EC | BELIEVES, server=REQUESTS, kind=EC):
    return bytes([client, server, kind, len(changes)]) + b"".join(changes) + text


def server_hello(*extensions, random=b"\1" * 32, suite=b"\xc0\x2b", session=b""):
    return message(2, b"\3\3", random, vector(1, session), suite, b"\0", vector(2, *extensions))


def hellos():
    """ServerHellos: of 1.2, with what is read of it; of 1.3 with what must not be there."""
    share, cookie, psk = extension(51, b"\0\x1d", vector(2, b"s" * 32)), extension(44, b"\0\1c"), extension(41, b"\0\0")
    legacy = (server_hello(), server_hello(extension(23), LIMIT), server_hello(extension(28, b"\0\x3f")), server_hello(random=RETRY_RANDOM),
              server_hello(LIMIT) + message(14), server_hello(random=b"\1" * 24 + b"DOWNGRD\1"), server_hello()[:-2], message(2, b"\3\3"), message(0),
              message(2, b"\3\3", b"\1" * 32, b"\0\xc0\x2b\0"), message(1, b"no"))
    for hello in legacy:
        yield tls13(text=said(SHAKE, hello, RETRY))
    yield tls13(text=said(SHAKE, legacy[0], RETRY), kind=EC | ONLY_13)
    yield tls13(text=said(SHAKE, legacy[0], HELLO), server=RETRIES)
    for extensions in ((VERSION, VERSION), (VERSION, share, share), (VERSION, cookie), (VERSION, psk), (VERSION, extension(99)), (VERSION, b"\0"),
                       (VERSION, extension(51, b"\0\x63")), (extension(43, b"\3\4\0"),), (extension(43, b"\3\5"),)):
        yield tls13(text=said(SHAKE, server_hello(*extensions), RETRY))
    for extensions in ((cookie, cookie), (extension(44, b"\0\0"),), (psk,), (extension(51, b"\0\x17\0"),)):
        yield tls13(text=said(SHAKE, server_hello(VERSION, *extensions, random=RETRY_RANDOM), RETRY))
    for extensions in ((psk, psk), (extension(41, b"\0\1"),)):
        yield tls13(text=said(SHAKE, server_hello(VERSION, *extensions), RETRY), client=EC | BELIEVES | RESUMES)
    # Of the fuzzer's own: suite at 72, length of the extensions at 75, then versions, session, share.
    yield tls13([changed(0, SET, 72, 7)])
    yield tls13([changed(0, SET, 72, 3), changed(1, SET, 72, 1)], server=RETRIES)
    yield tls13([changed(0x40, 0)], server=RETRIES)
    yield tls13([changed(0, SET, 72, 2)], client=EC | BELIEVES | RESUMES)
    yield tls13([changed(0, SET, 72, 2), changed(0, TAKEN_OUT | 8, 82, 5), changed(0, SET, 75, 46)], client=EC | BELIEVES | RESUMES)
    yield tls13(client=EC | BELIEVES | RESUMES, server=RETRIES | REQUESTS)
    yield tls13([changed(0, PUT_BEHIND | 16)])
    yield tls13([changed(0, TAKEN_OUT, 90, 31), changed(0, PUT_IN | 15 << 4, 90), changed(0, PUT_IN | 15 << 4, 90)])
    yield tls13([changed(0, TAKEN_OUT | 8, 82, 39), changed(0, SET, 75, 6)], server=0)
    yield tls13([changed(0, TAKEN_OUT | 8, 120, 0), changed(0, SET, 75, 45), changed(0, SET, 85, 35), changed(0, SET, 89, 31)], server=0)


def flights():
    """The other messages, in the place of the fuzzer's own: EncryptedExtensions, CertificateRequest, Certificate; and the last two, changed."""
    http = extension(16, vector(2, vector(1, b"http/1.1")))
    for extensions in ((http,), (extension(16, vector(2, vector(1, b"h2"))),), (extension(16, vector(2)),), (LIMIT,), (extension(28, b"\0\x3f"),),
                       (extension(28, b"\0"),), (extension(0, b"x"),), (LIMIT, LIMIT), (extension(10, b"\0\2\0\x1d"),), (VERSION,), (extension(13),), (extension(99),), (b"\0",)):
        for kind in (EC, EC | OFFERS_PROTOCOL):
            yield tls13([changed(1, DROPPED)], said(SHAKE, message(8, vector(2, *extensions)), REQUEST), kind=kind)
    yield tls13(text=said(SHAKE, message(8, vector(2), b"x"), EXTENSIONS))
    schemes = extension(13, vector(2, b"\4\3"))
    for body in (vector(1) + vector(2, extension(47, b"names"), schemes), vector(1) + vector(2, extension(47, b"names")), vector(1, b"c") + vector(2, schemes),
                 vector(1) + b"\0\5" + schemes, vector(1) + vector(2, extension(13, vector(2, b"\4"))), vector(1) + vector(2, schemes, schemes),
                 vector(1) + vector(2, extension(13, vector(2, b"\2\1"))), b"\0\0\x09\0\x2f\0\5", b"\0"):
        yield tls13([changed(2, DROPPED)], said(SHAKE, message(13, body), CERTIFICATE))
    for body in (vector(1) + vector(3), vector(1, b"c") + vector(3, vector(3, b"x"), b"\0\0"), vector(1) + vector(3, vector(3), b"\0\0"), b"\0\0\0\7\0\0\x09xxxx",
                 vector(1) + vector(3, vector(3, b"x"), vector(2, b"e")), vector(1) + vector(3, vector(3, b"x"), b"\0\0")):
        yield tls13([changed(3, DROPPED)], said(SHAKE, message(11, body), VERIFY))
    for change in (changed(4, SET, 4, 9), changed(4, SET, 5, 4), changed(4, PUT_BEHIND | 8 | 16, 0, 1), changed(4, 0, 20, 1), changed(5, PUT_BEHIND | 8 | 16),
                   changed(5, PUT_BEHIND | 16), changed(5, 0, 9, 1), changed(4, 7, 0, 20), changed(2, 7, 0, 24)):
        yield tls13([change])
        yield tls13([change], client=EC)
    yield tls13([changed(4, SET, 4, 9)], kind=0, client=BELIEVES)


def records():
    """What comes between the messages, and behind them."""
    update, dropped = message(24, b"\1"), [changed(1, DROPPED)]
    for content in (b"\1", b"\2", b"\1\1"):
        yield tls13(text=said(CHANGE, content, HELLO) + said(CHANGE, content, EXTENSIONS) + said(CHANGE, content, FINISHED), server=RETRIES | REQUESTS)
        yield tls13(text=said(CHANGE, content))
    for alert in (b"\1\0", b"\2\x28", b"\1\x5a", b"\2", b"\2\x28\0"):
        for before in range(8):
            yield tls13(text=said(ALERT, alert, before) + said(ALERT, b"\x28", before), server=RETRIES | REQUESTS)
    yield tls13(text=said(SHAKE, b"\2\0", HELLO) + said(ALERT, b"\1\0", HELLO), server=RETRIES)
    for before in range(8):
        for content in (b"\x17" + b"x" * 20, b"\x15\1", b"\x16\0", b"\x17\0"):
            yield tls13(text=said(CLEAR, content, before), server=RETRIES | REQUESTS)
        yield tls13(text=said(CLOSES, before=before) + said(SHAKE, update, before) + said(DATA, b"x", before) + said(ALERT, b"\1\0", before), server=RETRIES)
        yield tls13(text=said(DEAF, b"x", before) + said(ASKS, b"x" * 40, before) + said(UPDATE, b"\1", before), server=RETRIES | REQUESTS)
        yield tls13(text=bytes([DATA | 16 * before, 255]) + b"xy")
    for content in (message(4, b"no"), message(4, b"\xff" * 8, vector(1), vector(2, b"t"), vector(2)), message(4, b"\0" * 8, vector(1), vector(2), vector(2)),
                    message(4, b"\0" * 8, vector(1), vector(2, b"t"), b"\0\1"), message(4, b"\0" * 8, vector(1), b"\1\0t"), message(24, b"\1\1"),
                    message(24, b"\2"), update + update, message(13, b"no"), b"\x04\0\x09", message(4, b"\0" * 8, b"\xffn")):
        yield tls13(text=said(SHAKE, content), client=EC | BELIEVES | RESUMES)
        yield tls13(text=said(SHAKE, content) + said(DATA, b"x"))
    yield tls13(text=said(DEAF, b"x", RETRY), server=RETRIES)
    yield tls13(text=said(DATA, b"x") + said(ASKS, b"x") + said(UPDATE, b"\1"))
    yield tls13(text=bytes([TICKET, 255]) + b"t", client=EC | BELIEVES | RESUMES)
    yield tls13(dropped, said(SHAKE, message(8, vector(2, LIMIT)), REQUEST) + said(ASKS, b"x" * 200) + said(UPDATE, b"\1") + said(ASKS, b"x") + said(UPDATE, b"\1"))


def all_inputs():
    """Handshakes with each group, suite and key, plain and with what fuzz_tls13 can do; then tickets, KeyUpdates, data; then what is wrong."""
    behind = said(TICKET) + said(UPDATE, b"\1") + said(UPDATE, b"\0") + said(DATA, b"ok") + said(ALERT, b"\1\0")
    for way in range(0, 256, 16):
        yield tls13(text=behind, server=way | 1)
        yield tls13(text=behind, client=EC | RESUMES, server=way | 4, kind=ONLY_13)
    for group in range(4):
        for suite in range(0, 12, 4):
            for kind in range(3):
                yield tls13(text=behind, client=kind, server=group | suite | REQUESTS | 32 * (kind > 0), kind=kind)
    for at in range(8):
        for change in range(16):
            yield tls13([changed(at, change, 4 + at, 1 << at % 8)], behind)
    yield from hellos()
    yield from flights()
    yield from records()
