# SPDX-License-Identifier: Apache-2.0
"""A second opinion on every signature: botocore signs the same request again."""

import re

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/([a-z]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


class Signer(SigV4Auth):
    """Signs the headers of the request as they are, and adds none."""

    def headers_to_sign(self, request):
        return request.headers


def disagreement(request, secret_keys):
    """What botocore says against a request's signature; None: nothing. secret_keys: by access key id."""
    found = AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    if not found:
        return "no signature of version 4"
    key, date, region, service, names, signature = found.groups()
    if key not in secret_keys:
        return None  # a test about keys that nobody knows
    again = AWSRequest(
        method=request.method,
        url=f"https://{request.headers['Host']}{request.path}",
        headers={name: request.headers[name] for name in names.split(";")},
        data=request.body,
    )
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    if not again.context["timestamp"].startswith(date):
        return "the date is not that of the credential's scope"
    signer = Signer(Credentials(key, secret_keys[key]), service, region)
    theirs = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return None if theirs == signature else f"botocore signs {theirs}, the request has {signature}"
