# SPDX-License-Identifier: Apache-2.0
"""A name server that says to each question what a test wants, over UDP and TCP."""

import contextlib
import ipaddress
import socket
import struct
import threading

A, CNAME, AAAA = 1, 5, 28
SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 2, 3, 4, 5
RCODE = {"FORMERR": 1, "SERVFAIL": SERVFAIL, "NXDOMAIN": NXDOMAIN, "NOTIMP": NOTIMP, "REFUSED": REFUSED}


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".") if label) + b"\0"


def record(owner, kind, data):
    return encode(owner) + struct.pack("!HHIH", kind, 1, 1, len(data)) + data


def address(owner, text):
    packed = ipaddress.ip_address(text).packed
    return record(owner, A if len(packed) == 4 else AAAA, packed)


class Query:
    def __init__(self, packet, sender, stream):
        self.packet, self.sender, self.stream = packet, sender, stream
        end = packet.index(0, 12) + 5
        self.question = packet[12:end]
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        self.name = ".".join(labels)
        self.kind = {A: "A", AAAA: "AAAA"}[struct.unpack("!H", packet[end - 4 : end - 2])[0]]

    def answer(self, records=(), rcode=0, flags=0x8180, identity=None, question=None, count=None):
        head = (self.packet[:2] if identity is None else identity) + struct.pack(
            "!HHHHH", flags | rcode, 1, len(records) if count is None else count, 0, 0
        )
        return head + (self.question if question is None else question) + b"".join(records)


class NameServer:
    """
    say(query) gives the answers: bytes, or a list of them; None for silence. Over TCP what it gives is
    framed. asked has every question: name, kind, whether it came over TCP.
    """

    def __init__(self, datagrams, say, streams=None):
        self.asked, self.say = [], say
        self._datagrams, self._streams = datagrams, streams
        threading.Thread(target=self._serve, daemon=True).start()
        if streams:
            threading.Thread(target=self._accept, daemon=True).start()

    def _answers(self, packet, sender, stream):
        query = Query(packet, sender, stream)
        self.asked.append((query.name, query.kind, stream))
        said = self.say(query)
        return [] if said is None else said if isinstance(said, list) else [said]

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                packet, sender = self._datagrams.recvfrom(512)
                if not sender:
                    return
                threading.Thread(target=self._reply, args=(packet, sender), daemon=True).start()

    def _reply(self, packet, sender):
        with contextlib.suppress(OSError):
            for answer in self._answers(packet, sender, False):
                self._datagrams.sendto(answer, sender)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, sender = self._streams.accept()
                threading.Thread(target=self._stream, args=(connection, sender), daemon=True).start()

    def _stream(self, connection, sender):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            while True:
                head = connection.recv(2, socket.MSG_WAITALL)
                if len(head) < 2:
                    return
                packet = connection.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
                for answer in self._answers(packet, sender, True):
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def stop(self):
        for each in filter(None, (self._datagrams, self._streams)):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
