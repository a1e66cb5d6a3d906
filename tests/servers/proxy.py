# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that lets a connection come to a certain stage and then lets it down."""

import socket
import struct
import threading
import time

from .http import loopback_socket

# How far a connection comes: nothing is read of it; the first bytes are read and kept; the server's part of the
# handshake is cut within its second record; the request is kept; the answer is cut in half; nothing is wrong.
STAGES = ("accept", "hello", "handshake", "request", "answer", None)
TLS_APPLICATION_DATA = 23


class FaultProxy:
    """
    Stands before the server on upstream_port of loopback; at stage it falls silent ("hold"), resets ("reset"),
    closes ("close"), or goes on at one byte in 50 ms ("drip"). plain: HTTP without TLS, which has no stage
    "handshake".
    """

    def __init__(self, upstream_port, stage=None, action="hold", plain=False, listener=None):
        assert stage in STAGES and action in ("hold", "reset", "close", "drip")
        self.stage = stage
        self.action = action
        self.connections = 0
        self._plain = plain
        self._upstream_port = upstream_port
        self._listener = listener or loopback_socket()
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._stopping.set()
        _shut(self._listener)
        for sock in list(self._sockets):
            _shut(sock)

    def _accept(self):
        while not self._stopping.is_set():
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        if self.stage == "accept":
            self._fail(client)
            return
        server = socket.create_connection(("127.0.0.1", self._upstream_port))
        self._sockets.append(server)
        back = threading.Thread(
            target=self._pump, args=(server, client, client, self._answer_stage), daemon=True
        )
        back.start()
        self._pump(client, server, client, self._request_stage)

    def _pump(self, source, sink, client, stage_of):
        """Passes pieces on until the connection ends or comes to the stage."""
        count = 0
        try:
            while piece := self._read_piece(source):
                count += 1
                keep = stage_of(piece, count)
                if keep is None:
                    sink.sendall(piece)
                    continue
                if self.action == "drip":
                    self._drip(piece, sink)
                    continue
                sink.sendall(piece[:keep])
                self._fail(client)
                return
        except OSError:
            pass
        _shut(sink)

    def _request_stage(self, piece, count):
        """How much of the client's piece to pass on where the stage is reached; None: it is not."""
        if self.stage == "hello" and count == 1:
            return 0
        if self.stage == "request" and (self._plain or piece[0] == TLS_APPLICATION_DATA):
            return 0
        return None

    def _answer_stage(self, piece, count):
        """The same for the server's."""
        if self.stage == "handshake" and count == 2:
            return len(piece) // 2
        if self.stage == "answer" and (self._plain or piece[0] == TLS_APPLICATION_DATA):
            return len(piece) // 2
        return None

    def _read_piece(self, source):
        """A TLS record, or what there is of plain HTTP; nothing at the end."""
        if self._plain:
            return source.recv(65536)
        header = _read(source, 5)
        return header and header + _read(source, struct.unpack(">H", header[3:])[0])

    def _fail(self, client):
        if self.action == "hold":
            self._stopping.wait()
        if self.action == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.shutdown(socket.SHUT_RD)  # a recv() of the other thread would keep the connection alive
            time.sleep(0.05)
            client.close()
        _shut(client)

    def _drip(self, piece, sink):
        for i in range(len(piece)):
            if self._stopping.wait(0.05):
                return
            sink.sendall(piece[i : i + 1])


def _read(source, size):
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


def _shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()
