# SPDX-License-Identifier: Apache-2.0
"""More servers that ask for a client certificate: with the options that a case is about, and what proxies do."""

from .enclave import Enclave, Nginx, OpenSsl
from .http import Answer, Http
from .namespace import Namespace
from .process import Process

HAPROXY = """\
defaults
    mode http
    timeout client 10s
    timeout connect 10s
    timeout server 10s
frontend enclave
    bind 127.0.0.1:{port} ssl crt {dir}/both.pem ca-file {dir}/clients.crt verify {verify} ssl-min-ver {version} {settings}
    http-request return status 200 content-type application/json string "{{}}"
"""

STUNNEL = """\
foreground = yes
pid =
[enclave]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{backend}
cert = {dir}/server.crt
key = {dir}/server.key
CAfile = {dir}/clients.crt
requireCert = {require}
verifyChain = {verify}
sslVersionMin = {version}
{settings}
"""


def with_options(kind, **options):
    """The same kind of server, with its class's settings changed."""
    return type(kind.__name__, (kind,), options)


def s_server(*arguments):
    """s_server with these arguments in place of those that insist on a client certificate of our CA."""
    return with_options(OpenSsl, arguments=arguments)


def nginx(verify):
    return with_options(Nginx, verify=verify)


class GnuTls(Enclave):
    """gnutls-serv, which listens on all addresses: in a network of its own, where that is loopback alone."""

    arguments = ("--require-client-cert", "--verify-client-cert")
    groups = ""

    def start(self, port):
        self.network = Namespace(self.dir / "network")
        self.enter = self.network.enter
        self.port = port or 5556
        self._process = self.launch(self.port)
        if not self._process.wait_until(lambda: self._process.output().count("...done") == 2):
            raise RuntimeError(f"gnutls-serv does not start: {self._process.output()}")

    def launch(self, port):
        version = "1.3" if self.tls13_only else "1.2"
        return Process(
            [
                *self.enter,
                "gnutls-serv",
                "--http",
                "--port",
                port,
                "--x509certfile",
                self.cert_path,
                "--x509keyfile",
                self.key_path,
                "--x509cafile",
                self.ca_path,
                "--priority",
                f"NORMAL:-VERS-ALL:+VERS-TLS{version}{self.groups}",
                *self.arguments,
            ],
            self.dir / "log",
        )

    def stop(self):
        super().stop()
        self.network.stop()


class HaProxy(Enclave):
    """It answers by itself."""

    verify = "required"
    settings = ""

    def launch(self, port):
        (self.dir / "both.pem").write_text(self.cert_path.read_text() + self.key_path.read_text())
        version = "TLSv1.3" if self.tls13_only else "TLSv1.2"
        config = self.dir / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(
                port=port, dir=self.dir, verify=self.verify, version=version, settings=self.settings
            )
        )
        return Process(["haproxy", "-db", "-f", config], self.dir / "log")


class Stunnel(Enclave):
    """Before a plain HTTP server."""

    require = verify = "yes"
    settings = ""

    def launch(self, port):
        self._backend = Http(lambda _: Answer(200, b"{}\n"))
        config = self.dir / "stunnel.conf"
        version = "TLSv1.3" if self.tls13_only else "TLSv1.2"
        config.write_text(
            STUNNEL.format(
                port=port,
                dir=self.dir,
                backend=self._backend.port,
                version=version,
                require=self.require,
                verify=self.verify,
                settings=self.settings,
            )
        )
        return Process(["stunnel4", config], self.dir / "log")

    def stop(self):
        super().stop()
        self._backend.stop()


class Plain(Enclave):
    """HTTP without TLS."""

    def start(self, port):
        self._process = Http(lambda _: Answer(200, b"{}\n"))
        self.port = self._process.port
