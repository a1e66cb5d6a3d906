# SPDX-License-Identifier: Apache-2.0
"""What a release is on the day it is installed: an archive, its SHA-256, and a place to download it from."""

import hashlib
import ssl

from servers.http import Answer, Http
from servers.pki import Authority

HTTPS_ROOTS = "/etc/ssl/certs/ca-certificates.crt"

# In place of the AWS CLI, which does the same with S3: aws s3 cp --only-show-errors URL FILE
AWS_CLI = """\
#!/bin/sh
set -eu
test "$1 $2 $3 $4" = "s3 cp --only-show-errors s3://example-bucket/mtls-agent.tar.gz"
cp /root/archive "$5"
"""


class Release:
    def __init__(self, directory, archive):
        self.archive = archive
        self.sha256 = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        self._authority = Authority("Downloads")
        cert, key = self._authority.issue("localhost", names=["localhost"]).write(directory, "downloads")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)

    def by_https(self, host):
        """Lets a host download it; its URL, and the server, which is to be stopped."""
        roots = host.machine.path(HTTPS_ROOTS)
        roots.write_text(roots.read_text() + self._authority.pem)
        server = Http(
            lambda request: Answer(200, self.archive.read_bytes())
            if request.path == "/mtls-agent.tar.gz"
            else Answer(404),
            context=self._context,
            listener=host.network.open("tcp", "127.0.0.1"),
        )
        return f"https://localhost:{server.port}/mtls-agent.tar.gz", server

    def by_s3(self, host):
        """The same for the AWS CLI; its URL."""
        host.machine.write("/usr/local/bin/aws", AWS_CLI, mode=0o755)
        host.machine.path("/root/archive").write_bytes(self.archive.read_bytes())
        return "s3://example-bucket/mtls-agent.tar.gz"
