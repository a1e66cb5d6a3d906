#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Serves over mutual TLS with the identity that mtls-agent installed, to clients of its CA: the leaf needs serverAuth and the
service's names. Needs no package.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from installed_set import Follower, server_context


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a client may be silent, in the handshake too

    def setup(self):
        """In the connection's own thread, so that a slow handshake keeps nobody else waiting."""
        self.context = self.server.contexts.current()
        self.request.settimeout(self.timeout)
        self.request = self.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self):
        super().finish()
        self.request.close()

    def do_GET(self):
        subject = self.request.getpeercert()["subject"]
        body = json.dumps({"client": ",".join(f"{name}={value}" for ((name, value),) in subject)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.context is not self.server.contexts.current():
            # A connection that is older than the rotation gets one more answer.
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, directory):
        self.contexts = Follower(directory, server_context)
        self.contexts.current()  # fails here, and not at the first client
        super().__init__(address, Handler)

    def handle_error(self, request, client_address):
        print(f"{client_address[0]}: {sys.exc_info()[1]}", file=sys.stderr)


def main():
    host, _, port = os.environ.get("LISTEN", "127.0.0.1:8443").rpartition(":")
    Server((host, int(port)), os.environ.get("CERT_DIR", "/etc/ecs/mtls")).serve_forever()


if __name__ == "__main__":
    main()
