# SPDX-License-Identifier: Apache-2.0
"""Enclaves: five real servers that ask for a client certificate, each with the same interface."""

import os
import ssl
import subprocess
from pathlib import Path

from .http import Http, json_answer, loopback_socket
from .process import BUILD, Process, start_on

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtls-agent"

NGINX = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path tmp; proxy_temp_path tmp;
    fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    default_type application/json;
    server {{
        listen {host}:{port} ssl;
        ssl_protocols {protocols};
        ssl_session_cache shared:tls:1m;
        ssl_certificate server.crt;
        ssl_certificate_key server.key;
        ssl_client_certificate clients.crt;
        ssl_verify_client {verify};
        {settings}
        set $client '"client":"$ssl_client_s_dn"';
        location = /health {{ return 200 '{{"status":"healthy",$client}}\\n'; }}
        location = /api/watermark {{ return 200 '{{"watermark":"c2VlbiBhbmQgc2lnbmVk",$client}}\\n'; }}
        location = /forbidden {{ return 403; }}
        location = /broken {{ return 500; }}
    }}
}}
"""


class Enclave:
    """
    Shows server (a Pair) on host:port and lets in only clients of client_ca (PEM). No port: a free one. What
    stands before a client's command line is enter.
    """

    host = "127.0.0.1"
    enter = ()

    def __init__(self, directory, server, client_ca, tls13_only=False, port=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.cert_path, self.key_path = server.write(self.dir, "server")
        self.ca_path = self.dir / "clients.crt"
        self.ca_path.write_text(client_ca)
        self.tls13_only = tls13_only
        self.start(port)

    def start(self, port):
        self._process, self.port = start_on(port, self.launch, self.host)

    def launch(self, port):
        """Starts the server as a Process that will listen on port."""
        raise NotImplementedError

    @property
    def endpoint(self):
        return f"localhost:{self.port}"

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        self._process.stop()


class Nginx(Enclave):
    """TLS 1.2; answers 400 to a client whose certificate it does not take."""

    verify = "on"
    settings = ""

    def launch(self, port):
        (self.dir / "nginx.conf").write_text(
            NGINX.format(
                host=f"[{self.host}]" if ":" in self.host else self.host,
                port=port,
                verify=self.verify,
                settings=self.settings,
                protocols="TLSv1.3" if self.tls13_only else "TLSv1.2",
            )
        )
        return Process(
            ["nginx", "-e", "stderr", "-p", self.dir, "-c", self.dir / "nginx.conf"], self.dir / "log"
        )


class Nginx6(Nginx):
    """The same on ::1."""

    host = "::1"


class OpenNginx(Nginx):
    """The same without asking for a certificate: what an enclave must not be."""

    verify = "off"


class Node(Enclave):
    """Closes the connection after the handshake where it does not take the client's certificate."""

    def launch(self, port):
        return Process(
            ["node", HERE / "enclave.js", self.dir, port, *["tls13"] * self.tls13_only], self.dir / "log"
        )


class Go(Enclave):
    """Sends an alert within the handshake."""

    env = {}
    words = ()

    def launch(self, port):
        words = ["tls13"] if self.tls13_only else self.words
        return Process([go_program(HERE / "enclave.go"), self.dir, port, *words], self.dir / "log", self.env)


class OpenSsl(Enclave):
    """s_server; one connection at a time."""

    arguments = ("-Verify", "3", "-verify_return_error")

    def launch(self, port):
        return Process(
            [
                "openssl",
                "s_server",
                "-accept",
                f"127.0.0.1:{port}",
                "-www",
                *self.arguments,
                "-CAfile",
                self.ca_path,
                "-cert",
                self.cert_path,
                "-key",
                self.key_path,
                *["-tls1_3"] * self.tls13_only,
            ],
            self.dir / "log",
        )


class Python(Enclave):
    """Python's ssl with CERT_REQUIRED."""

    def start(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if self.tls13_only else ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.ca_path)
        context.load_cert_chain(self.cert_path, self.key_path)
        self.prepare(context)
        self._process = Http(self._answer, context=context, listener=self.listen(port))
        self.port = self._process.port

    def prepare(self, context):
        pass

    def listen(self, port):
        return loopback_socket(port=port or 0)

    @staticmethod
    def _answer(request):
        client = ",".join(f"{name}={value}" for part in request.peer["subject"] for name, value in part)
        return json_answer(
            200, {"server": "python", "path": request.path, "client": client.replace("commonName", "CN")}
        )


KINDS = {"nginx": Nginx, "node": Node, "go": Go, "python": Python, "openssl": OpenSsl}


def go(*arguments, cwd, **more):
    """The go command, offline, with a cache of our own; more: variables."""
    subprocess.run(
        ["go", *arguments],
        check=True,
        cwd=cwd,
        env={
            **os.environ,
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "",
            "CGO_ENABLED": "0",
            "GOCACHE": str(CACHE / "go"),
            "GOPATH": str(CACHE / "gopath"),
            **more,
        },
    )


def go_program(source):
    """The program, built when its source is newer."""
    program = BUILD / "tests" / f"{source.stem}-go"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        made = program.with_suffix(f".{os.getpid()}")
        go("build", "-o", made, source, cwd=source.parent)
        made.rename(program)
    return program
