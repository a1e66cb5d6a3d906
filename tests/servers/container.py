# SPDX-License-Identifier: Apache-2.0
"""The credentials endpoint that the ECS agent gives its tasks."""

from .http import Http, json_answer, text_answer
from .imds import credential_json


class ContainerCredentials:
    """Gives out session at path; asks for token in the Authorization header where there is one."""

    def __init__(self, session, token=None, listener=None):
        self.session = session
        self.token = token
        self.path = "/v2/credentials/0f5b9c36-6f5e-4b0c-9d5a-1d9f2f0a7b11"
        self.uninitialized = 0  # so many first requests get 503
        self.next_session = None  # takes the place of session once that was given out
        self._http = Http(self._answer, listener=listener)
        self.port = self._http.port

    @property
    def full_uri(self):
        return f"http://127.0.0.1:{self.port}{self.path}"

    @property
    def asked(self):
        return self._http.asked

    def stop(self):
        self._http.stop()

    def _answer(self, request):
        if request.method != "GET" or request.path != self.path:
            return _error(400, "InvalidIdInRequest", "CredentialsV2Request: ID not found")
        if self.token and request.headers.get("Authorization") != self.token:
            return text_answer(401, "Unauthorized")
        if self.uninitialized:
            self.uninitialized -= 1
            return _error(503, "CredentialsUninitialized", "Credentials uninitialized")
        answer = json_answer(
            200, credential_json(self.session, RoleArn="arn:aws:iam::123456789012:role/mtls-agent")
        )
        self.session, self.next_session = self.next_session or self.session, None
        return answer


def _error(status, code, message):
    return json_answer(status, {"code": code, "message": message, "HTTPErrorCode": status})
