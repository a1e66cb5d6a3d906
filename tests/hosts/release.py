# SPDX-License-Identifier: Apache-2.0
"""What a release is on the day it is installed: an archive, its SHA-256, and a place to download it from."""

import hashlib
import ssl

from s3 import NAME, S3, Role
from servers.http import Answer, Http
from servers.pki import Authority

HTTPS_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
BUCKET, KEY = "example-bucket", "releases/mtls-agent.tar.gz"

class Release:
    def __init__(self, directory, archive, aws):
        self.archive, self._directory, self._aws = archive, directory, aws
        self.sha256 = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        self._authority = Authority("Downloads")
        cert, key = self._authority.issue("localhost", names=["localhost"]).write(directory, "downloads")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)

    def _trusted(self, host):
        roots = host.machine.path(HTTPS_ROOTS)
        roots.write_text(roots.read_text() + self._authority.pem)

    def by_https(self, host):
        """Lets a host download it; its URL, and the server, which is to be stopped."""
        self._trusted(host)
        server = Http(
            lambda request: Answer(200, self.archive.read_bytes())
            if request.path == "/mtls-agent.tar.gz"
            else Answer(404),
            context=self._context,
            listener=host.network.open("tcp", "127.0.0.1"),
        )
        return f"https://localhost:{server.port}/mtls-agent.tar.gz", server

    def by_s3(self, host):
        """The same from S3, which the host's role may read; its URL, and what is to be stopped."""
        self._trusted(host)
        hosts = host.machine.path("/etc/hosts")
        hosts.write_text(hosts.read_text() + f"127.0.0.1 {NAME}\n")
        listener = host.network.open("tcp", "127.0.0.1", 443)
        body = self.archive.read_bytes()
        s3 = S3(self._aws, self._directory, self._authority, listener, BUCKET, KEY, body)
        role = Role(self._aws, "release", resource=f"arn:aws:s3:::{BUCKET}/{KEY}")
        host.imds.session = role.session
        return f"s3://{BUCKET}/{KEY}", s3, role
