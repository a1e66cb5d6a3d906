# SPDX-License-Identifier: Apache-2.0
"""
Secrets Manager for the soak: one secret, answered by version over TLS, with nothing verified. moto keeps every version,
and would take its share of the cores. A new version is made as soon as the last one is installed.
"""

import json
import ssl
import time
import uuid
from pathlib import Path

from servers.aws import AMZ_JSON, aws_error
from servers.http import Answer, Http
from servers.pki import DAY, Authority, document

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/soak-AbCdEf"
POOL = 64  # identities, in turn
QUIET = 10  # one look in so many finds nothing new


class StandIn:
    def __init__(self, directory, target, authority, lifetime=(-DAY, 90 * DAY)):
        self.target = Path(target)
        self._documents = [
            document(authority.issue(f"ECS-Client {number}", lifetime=lifetime), authority.pem)
            for number in range(POOL)
        ]
        self.versions = [str(uuid.uuid4())]
        self.rotating = False
        self._looks = 0
        root = Authority("Soak AWS Root", lifetime=lifetime)
        self.ca_bundle = Path(directory) / "aws-ca.pem"
        self.ca_bundle.write_text(root.pem)
        cert, key = root.issue("localhost", names=["localhost"], lifetime=lifetime).write(directory, "aws")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._http = Http(self._answer, context=context)

    def environment(self):
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{self._http.port}",
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": uuid.uuid4().hex,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def installed(self):
        """The version that the target's manifest names; None: none, or it is just being replaced."""
        try:
            text = (self.target / "..data" / "manifest").read_text()
        except OSError:
            return None
        return next(line.split()[2] for line in text.splitlines() if line.startswith("source "))

    def stop(self):
        self._http.stop()

    def _answer(self, request):
        self._http.asked.clear()
        operation = request.headers.get("X-Amz-Target", "").partition(".")[2]
        if operation == "DescribeSecret":
            return self._describe()
        if operation == "GetSecretValue":
            return self._value()
        return aws_error(400, "UnknownOperationException", operation)

    def _describe(self):
        self._looks += 1
        if self.rotating and self._looks % QUIET and self.installed() == self.versions[-1]:
            self.versions.append(str(uuid.uuid4()))
        stages = {version: ["AWSPREVIOUS"] for version in self.versions[-2:-1]}
        stages[self.versions[-1]] = ["AWSCURRENT"]
        return _answer({"VersionIdsToStages": stages})

    def _value(self):
        current = len(self.versions) - 1
        return _answer(
            {
                "VersionId": self.versions[current],
                "VersionStages": ["AWSCURRENT"],
                "SecretString": self._documents[current % POOL],
            }
        )


def _answer(value):
    body = json.dumps({"ARN": ARN, "Name": "mtls/soak", "CreatedDate": time.time(), **value})
    return Answer(200, body.encode(), {"Content-Type": AMZ_JSON, "x-amzn-RequestId": str(uuid.uuid4())})
