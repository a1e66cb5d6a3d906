# SPDX-License-Identifier: Apache-2.0
"""
Answers that nobody should give. Whatever it is: a clear error by the deadline, nothing installed, no secret shown.
All cases run side by side, since some of them are only waiting.
"""

import itertools
import json
import ssl

import pytest

from agent import Agent, snapshot
from servers.aws import AMZ_JSON
from servers.http import Http, text_answer
from servers.pki import Authority
from servers.raw import Raw
from side_by_side import side_by_side
from test_credentials import NO_KEYS

DEADLINE_S = 8
GRACE_S = 30  # for a machine that is busy; without a deadline there is no end at all
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/host-AbCdEf"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYSECRETKEY"
TOKEN = "IQoJb3JpZ2luX2VjEJr" + "0123456789abcdef" * 12
GOOD = json.dumps({"ARN": ARN, "VersionId": "1" * 36, "SecretString": "{}"}).encode()


def answer(body, *headers, status="200 OK", length=None):
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {AMZ_JSON}", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*pieces):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces)


def error(message, code="AccessDeniedException", *headers):
    body = json.dumps({"__type": code, "Message": message}).encode()
    return answer(body, *headers, status="400 Bad Request")


def value(**more):
    return answer(json.dumps({"ARN": ARN, "VersionId": "1" * 36, **more}).encode())


ENDLESS = itertools.repeat(b"1000\r\n" + b"x" * 4096 + b"\r\n", 100000)
CASES = {
    # sizes
    "endless body": [b"HTTP/1.1 200 OK\r\n\r\n", *itertools.repeat(b" " * 65536, 64)],
    "8 MiB announced": [answer(b" " * (1 << 20), length=8 << 20)],
    "endless chunks": itertools.chain([chunked()], ENDLESS),
    "huge header": [b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n"],
    "many headers": [b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100000, b"\r\n"],
    "huge status line": [b"HTTP/1.1 200 " + b"O" * (1 << 20) + b"\r\n\r\n"],
    "continue for ever": itertools.chain(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 100000)),
    # lengths
    "body cut short": [answer(GOOD[:40], length=len(GOOD))],
    "negative length": [answer(GOOD, length=-1)],
    "length is no number": [answer(GOOD, length="0x20")],
    "two lengths": [answer(GOOD, "Content-Length: 7")],
    "empty": [answer(b"")],
    # chunks
    "chunk without a size": [chunked(b"zz\r\nab\r\n0\r\n\r\n")],
    "negative chunk": [chunked(b"-5\r\nabcde\r\n0\r\n\r\n")],
    "chunk too large for a number": [chunked(b"FFFFFFFFFFFFFFFFF\r\nabc\r\n")],
    "chunks cut short": [chunked(b"5\r\nab")],
    "chunks without an end": [chunked(b"2\r\n{}\r\n")],
    "chunk longer than its size": [chunked(b"2\r\n{}}}}}\r\n0\r\n\r\n")],
    # headers
    "NUL in a header": [answer(GOOD, "X: a\0b")],
    "header without a colon": [answer(b"{}", "nonsense")],
    "error types that differ": [
        answer(b"{}", "x-amzn-ErrorType: AccessDeniedException", "x-amzn-ErrorType: \x1b[2J", status="400 Bad")
    ],
    "escapes in the request id": [error("no", "X", "x-amzn-RequestId: \x1b[31mred\x1b[0m")],
    "absurd retry hint": [answer(b"{}", "x-amz-retry-after: 99999999999999999999", status="503 Busy")],
    "negative retry hint": [answer(b"{}", "x-amz-retry-after: -99999999", status="503 Busy")],
    "compressed": [answer(b"\x1f\x8b\x08\0\0\0\0\0", "Content-Encoding: gzip")],
    # not HTTP
    "garbage": [bytes(range(256)) * 16],
    "another protocol": [b"SSH-2.0-OpenSSH_9.6\r\n"],
    "HTTP 0.9": [b"<html>hello</html>"],
    "HTTP 2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "nothing": [],
    # statuses
    **{
        f"redirect {status}": [answer(b"", "Location: https://localhost:1/", status=f"{status} Elsewhere")]
        for status in (301, 302, 303, 307, 308)
    },
    "no content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "not modified": [b"HTTP/1.1 304 Not Modified\r\n\r\n"],
    "partial": [answer(GOOD, "Content-Range: bytes 0-9/10", status="206 Partial Content")],
    "asks for a password": [answer(b"", "WWW-Authenticate: Basic realm=x", status="401 No")],
    "status 999": [answer(b"{}", status="999 What")],
    # JSON
    "deep array": [answer(b"[" * 200000)],
    "deep object": [answer(b'{"a":' * 60000)],
    "deep error": [answer(b"[" * 200000, status="400 Bad Request")],
    "error in an array": [answer(b'[{"__type":"X"}]', status="400 Bad Request")],
    "no JSON": [answer(b"<html>login</html>")],
    "ARN is a number": [answer(GOOD.replace(json.dumps(ARN).encode(), b"7"))],
    "ARN is too long": [answer(GOOD.replace(b"mtls", b"m" * 4096))],
    "value is an object": [value(SecretString={"client_key": "x"})],
    "value is null": [value(SecretString=None)],
    "both values": [value(SecretString="x", SecretBinary="eA==")],
    "bytes are no base64": [value(SecretBinary="*")],
    "a member twice": [answer(GOOD[:-1] + b', "SecretString": "x"}')],
    "no UTF-8": [answer(GOOD.replace(b"{}", b"\xff\xfe"))],
    # what is shown
    "token echoed": [error(f"The security token {TOKEN} is not valid")],
    "key echoed": [error(f"signed with {SECRET_KEY}", "InvalidSignatureException")],
    "token in the code": [error("no", TOKEN)],
    "token in a header": [error("no", "X", f"x-amzn-RequestId: {TOKEN[:60]}")],
    "control bytes": [error("line one\nline two \x1b]0;title\x07 \x00 \x7f \u202e end")],
    "long message": [error("x" * 100000)],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile")
    authority = Authority("Hostile Root")
    (directory / "ca.pem").write_text(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost", names=["localhost"]).write(directory, "hostile"))
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_SESSION_TOKEN": TOKEN}

    agents = {name: Agent(directory / str(number), keys) for number, name in enumerate(CASES)}

    def start(name):
        pieces, agent = CASES[name], agents[name]
        server = Raw(list(pieces) if not isinstance(pieces, itertools.chain) else pieces, context)
        place = {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{server.port}",
            "AWS_CA_BUNDLE": str(directory / "ca.pem"),
        }
        agent.dir.parent.mkdir()
        return server, agent.start(*agent.fetch_arguments(ARN, deadline=f"{DEADLINE_S}s"), env=place)

    return {name: (agents[name], *ended) for name, ended in side_by_side(CASES, start).items()}


@pytest.mark.parametrize("case", CASES)
def test_a_clear_error_and_nothing_else(results, case):
    agent, server, result = results[case]
    assert result.status in (65, 69, 75, 77), f"exit {result.status}:\n{result.stderr}"
    found = result.event("error")
    assert found["reason"] and found["remedy"] and len(found["reason"]) < 800
    assert result.seconds < DEADLINE_S + GRACE_S
    assert snapshot(agent.dir) is None
    for secret in (SECRET_KEY, TOKEN, TOKEN[:40]):
        assert secret not in result.stderr
    assert "\x1b" not in result.stderr and "\x07" not in result.stderr


def test_redirects_are_not_followed(results):
    assert all(results[case][1].requests == 1 for case in CASES if case.startswith("redirect"))


def test_what_was_echoed_is_masked(results):
    assert "[masked]" in results["token echoed"][2].event("error")["reason"]
    assert "[masked]" in results["key echoed"][2].event("error")["reason"]


@pytest.mark.parametrize("place", ["imds", "container"])
def test_metadata_that_is_an_ordinary_web_server(agent, up, place):
    """A captive portal, or anything else that has a page for every path."""
    page = "<!DOCTYPE html>\n<html><body>Welcome to <b>nginx</b>\n</body></html>"
    server = up(Http(lambda request: text_answer(200, page)))
    url = f"http://127.0.0.1:{server.port}"
    environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_EC2_METADATA_DISABLED": "false"}
    if place == "container":
        environment = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials"}
    error_event = agent.fetch(ARN, env={**NO_KEYS, **environment}, deadline="5s").failed(77, "credentials_failed")
    assert "<html>" not in error_event["reason"]
    assert snapshot(agent.dir) is None


def test_metadata_that_gives_pages_for_credentials(agent, up):
    server = up(Http(lambda request: text_answer(200, "token" if request.method == "PUT" else "<html>\nlogin</html>")))
    environment = {
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.port}",
        "AWS_EC2_METADATA_DISABLED": "false",
    }
    agent.fetch(ARN, env={**NO_KEYS, **environment}, deadline="5s").failed(77, "credentials_failed")
