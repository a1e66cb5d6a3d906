# SPDX-License-Identifier: Apache-2.0
"""A forward proxy that knows CONNECT alone, as one between a VPC and the Internet."""

import base64
import socket
import threading

from .http import loopback_socket
from .proxy import _shut


class ConnectProxy:
    """Keeps what it was asked; asks for user:password where there is one; refuses with status where there is one."""

    def __init__(self, password=None, status=None, listener=None):
        self.password = password
        self.status = status
        self.asked = []
        self._listener = listener or loopback_socket()
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        for sock in [self._listener, *self._sockets]:
            _shut(sock)

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            head = self._read_head(client)
            self.asked.append(head)
            status = self._judge(head)
            if status != 200:
                client.sendall(
                    f"HTTP/1.1 {status} No\r\nDate: Mon, 23 Nov 2015 10:00:00 GMT\r\nContent-Length: 0\r\n\r\n".encode()
                )
                _shut(client)
                return
            host, port = head.split()[1].rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            self._sockets.append(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\nDate: Mon, 23 Nov 2015 10:00:00 GMT\r\n\r\n")
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
            self._pump(client, server)
        except (OSError, IndexError, ValueError):
            _shut(client)

    @staticmethod
    def _read_head(client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                raise OSError("closed")
            head += more
        return head.decode("latin-1")

    def _judge(self, head):
        if self.status or not head.startswith("CONNECT "):
            return self.status or 405
        token = base64.b64encode((self.password or "").encode()).decode()
        return 200 if not self.password or f"Proxy-Authorization: Basic {token}\r\n" in head else 407

    @staticmethod
    def _pump(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
        except OSError:
            pass
        _shut(sink)
