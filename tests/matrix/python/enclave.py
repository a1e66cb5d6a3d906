# SPDX-License-Identifier: Apache-2.0
"""Enclaves in Python: enclave.py KIND DIRECTORY PORT [WORD...]"""

import asyncio
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BODY = b'{"server":"python"}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


def restrict(context, words):
    """What the words say; a client certificate is demanded."""
    context.verify_mode = ssl.CERT_REQUIRED
    if "tls12" in words:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if "tls13" in words:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if "p384" in words:
        context.set_ecdh_curve("secp384r1")
    return context


def context_of(directory, words):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    context.load_verify_locations(directory / "clients.crt")
    return restrict(context, words)


def serve_http_server(directory, port, words):
    """http.server, which does the handshake in its one accepting thread."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(ANSWER)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = context_of(directory, words).wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def serve_ssl(directory, port, words):
    """A bare ssl socket for each connection, on a thread."""
    import socket

    context = context_of(directory, words)

    def serve(client):
        try:
            with context.wrap_socket(client, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(ANSWER)
        except OSError as error:
            print(error, flush=True)

    listener = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def serve_aiohttp(directory, port, words):
    from aiohttp import web

    async def answer(_):
        return web.Response(body=BODY)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=port, ssl_context=context_of(directory, words), print=None)


def serve_uvicorn(directory, port, words):
    import uvicorn

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": BODY})

    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        ssl_certfile=str(directory / "server.crt"),
        ssl_keyfile=str(directory / "server.key"),
        ssl_ca_certs=str(directory / "clients.crt"),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    config.load()
    restrict(config.ssl, words)
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    kind, directory, port, *words = sys.argv[1:]
    globals()[f"serve_{kind}"](Path(directory), int(port), words)
