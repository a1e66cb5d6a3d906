# SPDX-License-Identifier: Apache-2.0
"""Secrets Manager over TLS, with nothing verified: quick, for hundreds of secrets, and with an eye on what comes at once."""

import json
import ssl
import threading
import uuid

from .aws import AMZ_JSON, aws_error
from .http import Answer, Http
from .pki import Authority

PATIENCE_S = 60  # for requests that are waited for


def _json(value):
    return Answer(200, json.dumps(value).encode(), {"Content-Type": AMZ_JSON})


class Secrets:
    """
    put(value) makes a secret. values: by ARN, a document, or an Answer in place of it, or what gives one.
    calls: (operation, ARN) of each request, as they came; connections: the clients' addresses; most: how many requests
    were in flight at once. rounds: how many each next round consists of; its answers are held back until all of them are
    in flight, and late is whether one was waited for in vain.
    """

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        root = Authority("Secrets AWS Root")
        self.ca_bundle = directory / "ca.pem"
        self.ca_bundle.write_text(root.pem)
        cert, key = root.issue("localhost", names=["localhost"]).write(directory, "aws")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.values, self.versions, self.calls, self.connections = {}, {}, [], set()
        self.most, self.late, self.rounds = 0, False, []
        self._flying, self._waiting, self._round = 0, 0, 0
        self._change = threading.Condition()
        self._http = Http(self._serve, context=context)

    def environment(self, port=None):
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{port or self._http.port}",
            "AWS_CA_BUNDLE": str(self.ca_bundle),
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": uuid.uuid4().hex,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def port(self):
        return self._http.port

    def put(self, value):
        arn = f"arn:aws:secretsmanager:eu-central-1:123456789012:secret:many-{len(self.values)}-AbCdEf"
        self.change(arn, value)
        return arn

    def change(self, arn, value):
        """Another version of it."""
        self.versions[arn] = str(uuid.uuid4())
        self.values[arn] = value

    def count(self, operation):
        """By ARN, of those that were asked for: how often."""
        asked = [arn for each, arn in self.calls if each == operation]
        return {arn: asked.count(arn) for arn in asked}

    def forget(self):
        with self._change:
            self.calls.clear()
            self.most = 0

    def stop(self):
        self._http.stop()

    def _serve(self, request):
        operation = request.headers["X-Amz-Target"].partition(".")[2]
        arn = json.loads(request.body)["SecretId"]
        with self._change:
            self.calls.append((operation, arn))
            self.connections.add(request.client)
            self._flying += 1
            self.most = max(self.most, self._flying)
            self._wait_for_round()
        answer = self._answer(operation, arn)
        with self._change:
            self._flying -= 1
        return answer

    def _wait_for_round(self):
        number = self._round
        if number >= len(self.rounds):
            return
        self._waiting += 1
        if self._waiting == self.rounds[number]:
            self._waiting, self._round = 0, number + 1
            self._change.notify_all()
        elif not self._change.wait_for(lambda: self._round > number, PATIENCE_S):
            self.late = True

    def _answer(self, operation, arn):
        value = self.values.get(arn, aws_error(400, "ResourceNotFoundException", "no such secret"))
        value = value() if callable(value) else value
        if not isinstance(value, str):
            return value
        told = {"ARN": arn, "Name": arn.rpartition(":")[2][:-7]}
        if operation == "DescribeSecret":
            return _json({**told, "VersionIdsToStages": {self.versions[arn]: ["AWSCURRENT"]}})
        return _json({**told, "VersionId": self.versions[arn], "SecretString": value})
