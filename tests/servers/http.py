# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 server on threads of this process: one function answers, and what was asked is kept."""

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    method: str
    path: str
    headers: object  # by name, in any case
    body: bytes
    peer: object  # the client's certificate as ssl shows it, or None
    client: tuple = None  # its address, which tells connections apart
    resumed: bool = False  # its TLS session


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    ends: bool = False  # the connection with it, without a word of that
    cut: bool = False  # the connection ends in the middle of the body


HOLD = object()  # in place of an Answer: the connection stays open and silent


def json_answer(status, value, **headers):
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def text_answer(status, text, **headers):
    return Answer(status, text.encode(), {"Content-Type": "text/plain", **headers})


def loopback_socket(address="127.0.0.1", port=0):
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(32)
    return listener


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        peer = self.connection.getpeercert() if hasattr(self.connection, "getpeercert") else None
        resumed = getattr(self.connection, "session_reused", False)
        request = Request(self.command, self.path, self.headers, body, peer, self.client_address, resumed)
        self.server.asked.append(request)
        answer = self.server.answer(request)
        if answer is HOLD:
            self.server.stopping.wait()
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in {"Date": self.date_time_string(), **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
        self.close_connection = self.close_connection or answer.ends or answer.cut

    do_GET = do_PUT = do_POST = _serve

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    block_on_close = False  # a connection kept alive must not keep stop() waiting

    def __init__(self, listener, answer, orderly):
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.answer = answer
        self.orderly = orderly
        self.asked = []
        self.stopping = threading.Event()

    def shutdown_request(self, request):
        """OpenSSL forgets a session of TLS 1.2 whose connection was not shut down in order."""
        if self.orderly:
            try:
                request.settimeout(5)
                request.unwrap()
            except (OSError, ValueError):
                pass
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # peers that go away are what some tests are about


class Http:
    """
    Serves answer(request) -> Answer until stopped; over TLS where there is a context; on a given listener.
    orderly: ends each connection of TLS as it should be ended.
    """

    def __init__(self, answer, context=None, listener=None, orderly=False):
        listener = listener or loopback_socket()
        self.port = listener.getsockname()[1]
        if context:
            # The handshake is left to the connection's own thread.
            listener = context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        self._server = _Server(listener, answer, orderly)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def asked(self):
        """Every request so far."""
        return self._server.asked

    def stop(self):
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
