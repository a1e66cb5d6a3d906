# SPDX-License-Identifier: Apache-2.0
"""A server that reads a request and then says whatever it was told to, HTTP or not."""

import socket
import threading

from .http import loopback_socket
from .proxy import _shut


class Raw:
    """Says each of pieces, then closes, or with hold stays silent; over TLS where there is a context."""

    def __init__(self, pieces, context=None, hold=False):
        self.pieces = pieces
        self.requests = 0
        self._hold = hold
        self._context = context
        self._listener = loopback_socket()
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._stopping.set()
        for sock in [self._listener, *self._sockets]:
            _shut(sock)

    def _accept(self):
        while not self._stopping.is_set():
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
            self._read_request(client)
            self.requests += 1
            for piece in self.pieces:
                client.sendall(piece)
            if self._hold:
                self._stopping.wait()
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        client.close()

    @staticmethod
    def _read_request(client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return
            head += more
        head, body = head.split(b"\r\n\r\n", 1)
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        while len(body) < int(length.split(b":")[1]):
            body += client.recv(4096)
