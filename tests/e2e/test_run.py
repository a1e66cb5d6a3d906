# SPDX-License-Identifier: Apache-2.0
"""`run`: fetches, watches, rotates, and ends when it is told to."""

import os
import signal

from servers.pki import document


def test_a_rotation(serve, agent, aws, put, good, authority, enclave):
    arn = put(good)
    service = serve(arn, endpoint=enclave.endpoint)
    first = service.wait("installed")
    service.wait("ready")
    service.wait("handshake", result="accepted", count=3)
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    second = service.wait("installed", 2)
    assert second["fingerprint"] != first["fingerprint"]
    status, seconds = service.stop()
    assert status == 0 and seconds < 1
