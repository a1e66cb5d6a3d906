# SPDX-License-Identifier: Apache-2.0
"""The EC2 instance metadata service, version 2 only: no answer without a session token that is still good."""

import json
import secrets
import time

from .aws import REGION
from .http import HOLD, Answer, Http, text_answer

CREDENTIALS = "/latest/meta-data/iam/security-credentials/"
TOKEN_HEADER = "X-aws-ec2-metadata-token"
TTL_HEADER = TOKEN_HEADER + "-ttl-seconds"


def credential_json(session, **more):
    """Credentials of STS as both metadata services show them."""
    return {
        "AccessKeyId": session["AccessKeyId"],
        "SecretAccessKey": session["SecretAccessKey"],
        "Token": session["SessionToken"],
        "Expiration": session["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        **more,
    }


class Imds:
    """Gives out session, the credentials of role; role None: an instance without a profile."""

    def __init__(self, session, role="mtls-agent", region=REGION, listener=None):
        self.session = session
        self.role = role
        self.region = region
        self.instance = "i-0123456789abcdef0"
        self.disabled = False  # 403 to everything, as after modify-instance-metadata-options
        self.expire_tokens = 0  # so many tokens are no longer good when they are used
        self.stale = False  # credentials that have expired, as while their service is out of order
        self.not_ready = 0  # so many first requests for credentials get 503
        self.faults = []  # what the next requests for the role or its credentials get instead
        self.hold_path = None  # what ends with this gets silence
        self.delay_s = 0  # before each answer
        self.tokens = {}
        self._http = Http(self._answer, listener=listener)
        self.port = self._http.port

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self):
        return self._http.asked

    def environment(self):
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, "AWS_EC2_METADATA_DISABLED": "false"}

    def stop(self):
        self._http.stop()

    def _answer(self, request):
        time.sleep(self.delay_s)
        if self.hold_path and request.path.endswith(self.hold_path):
            return HOLD
        if self.disabled:
            return text_answer(403, "Forbidden")
        if request.method == "PUT":
            return self._put_token(request)
        if request.method != "GET":
            return text_answer(405, "Method Not Allowed")
        if self.tokens.get(request.headers.get(TOKEN_HEADER, ""), 0) <= time.monotonic():
            return text_answer(401, "Unauthorized")
        if request.path == "/latest/meta-data/placement/region":
            return text_answer(200, self.region)
        if request.path == "/latest/meta-data/instance-id":
            return text_answer(200, self.instance)
        if request.path == "/latest/meta-data/services/domain":
            return text_answer(200, "amazonaws.com")
        if request.path.startswith(CREDENTIALS) and self.faults:
            return self.faults.pop(0)
        if request.path.startswith(CREDENTIALS) and self.role:
            return self._credentials(request.path[len(CREDENTIALS) :])
        return text_answer(404, "Not Found")

    def _put_token(self, request):
        ttl = request.headers.get(TTL_HEADER, "")
        if request.path != "/latest/api/token":
            return text_answer(404, "Not Found")
        if "X-Forwarded-For" in request.headers:
            return text_answer(403, "Forbidden")
        if not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return text_answer(400, "Bad Request")
        token = secrets.token_urlsafe(42)
        expired = self.expire_tokens > 0
        self.expire_tokens -= expired
        self.tokens[token] = 0 if expired else time.monotonic() + int(ttl)
        return text_answer(200, token, **{TTL_HEADER: ttl})

    def _credentials(self, role):
        if self.not_ready:
            self.not_ready -= 1
            return text_answer(503, "Service Unavailable")
        if not role:
            return text_answer(200, self.role)
        if role != self.role:
            return text_answer(404, "Not Found")
        body = credential_json(
            self.session, Code="Success", Type="AWS-HMAC", LastUpdated="2026-01-01T00:00:00Z"
        )
        if self.stale:
            body["Expiration"] = "2026-01-01T06:00:00Z"
        return Answer(200, json.dumps(body, indent=2).encode(), {"Content-Type": "text/plain"})
