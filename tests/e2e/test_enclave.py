# SPDX-License-Identifier: Apache-2.0
"""The rehearsal: an identity is tried on the enclaves before it is installed. Five kinds of real servers."""

import pytest

from agent import snapshot
from servers.enclave import KINDS, Nginx, Nginx6, OpenNginx
from servers.pki import DAY, document
from servers.process import free_port

KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def readme(pki):
    """The README's secret."""
    return document(pki.pair("client"), pki.ca_pem)


@pytest.fixture(scope="module")
def rogue_readme(rogue, pki):
    """Trusts the enclave, but is of a CA that the enclave does not trust."""
    return document(rogue, pki.ca_pem)


# ---- accepted, refused, unreachable, untrusted: told apart on each kind


@KIND
def test_the_readmes_identity_is_accepted(agent, put, readme, enclaves, kind):
    result = agent.fetch(put(readme), endpoint=enclaves[kind].endpoint).succeeded("installed")
    handshake = result.event("handshake")
    assert handshake["result"] == "accepted"
    assert handshake["endpoint"] == enclaves[kind].endpoint
    assert handshake["status"] == 200
    assert handshake["cipher"].startswith(("ECDHE-RSA-", "TLS_"))
    assert handshake["peer"] == f"127.0.0.1:{enclaves[kind].port}"


@KIND
def test_a_rogue_identity_is_refused(agent, put, readme, rogue_readme, enclaves, kind):
    endpoint = enclaves[kind].endpoint
    error = agent.fetch(put(rogue_readme), endpoint=endpoint).failed(76, "enclave_refused")
    assert error["subject"] == endpoint
    assert snapshot(agent.dir) is None

    agent.fetch(put(readme), endpoint=endpoint).succeeded("installed")
    before = snapshot(agent.dir)
    result = agent.fetch(put(rogue_readme), endpoint=endpoint)
    result.failed(76, "enclave_refused")
    assert snapshot(agent.dir) == before


@KIND
def test_a_server_of_another_ca_is_not_trusted(agent, tmp_path, put, readme, pki, stranger, up, kind):
    impostor = up(
        KINDS[kind](tmp_path / "impostor", stranger.issue("localhost", names=["localhost"]), pki.ca_pem)
    )
    result = agent.fetch(put(readme), endpoint=impostor.endpoint)
    error = result.failed(76, "enclave_untrusted")
    assert error["subject"] == impostor.endpoint
    assert {event["result"] for event in result.all("handshake")} == {"untrusted"}
    assert snapshot(agent.dir) is None


@KIND
def test_the_readmes_server_certificate_has_no_name(agent, tmp_path, put, readme, pki, up, kind):
    """It has a common name only: refused with the way out said, and accepted where the user asks for it."""
    arn = put(readme)
    server = up(KINDS[kind](tmp_path / "cn", pki.pair("server-cn"), pki.ca_pem))
    error = agent.fetch(arn, endpoint=server.endpoint).failed(76, "enclave_untrusted")
    assert "--allow-cn" in error["reason"] + error["remedy"]
    assert "subjectAltName" in error["reason"] + error["remedy"]
    assert snapshot(agent.dir) is None
    agent.fetch(arn, "--allow-cn", endpoint=server.endpoint).succeeded("installed")


def test_no_server_at_all(agent, put, readme):
    endpoint = f"localhost:{free_port()}"
    result = agent.fetch(put(readme), endpoint=endpoint).succeeded("unproven", "installed")
    assert {event["result"] for event in result.all("handshake")} == {"unreachable"}


def test_nobody_to_ask(agent, put, readme, enclave):
    """What no enclave is asked about is installed, and the log says so: a new version only, and of a server's set nothing."""
    arn = put(readme)
    said = agent.fetch(arn).succeeded("unproven", "installed").event("unproven")
    assert said["level"] == "info" and said["reason"] == "no endpoint is configured"
    assert not agent.fetch(arn).succeeded("unchanged").all("unproven")
    off = agent.fetch(put(readme), "--rehearse=off", endpoint=enclave.endpoint).succeeded("installed").event("unproven")
    assert off["level"] == "info" and off["reason"] == "rehearse is off"


@KIND
def test_tls_13_only(agent, tmp_path, put, readme, pki, up, kind):
    server = up(KINDS[kind](tmp_path / "tls13", pki.pair("server"), pki.ca_pem, tls13_only=True))
    result = agent.fetch(put(readme), "--rehearse=require", endpoint=server.endpoint).succeeded("installed")
    assert result.event("handshake")["cipher"].startswith("TLS_")


@KIND
def test_elliptic_curves_on_both_sides(agent, tmp_path, put, authority, up, kind):
    server = authority.issue("localhost", "p384", names=["localhost"])
    running = up(KINDS[kind](tmp_path / "ec", server, authority.pem))
    identity = document(authority.issue("ECS-Client", "p384"), authority.pem)
    result = agent.fetch(put(identity), endpoint=running.endpoint).succeeded("installed")
    assert result.event("handshake")["cipher"].startswith(("ECDHE-ECDSA-", "TLS_"))


# ---- names


def test_an_ip_address(agent, put, good, enclave):
    agent.fetch(put(good), endpoint=f"127.0.0.1:{enclave.port}").succeeded("installed")


def test_an_ipv6_address(agent, tmp_path, put, good, authority, up):
    server = up(Nginx6(tmp_path / "v6", authority.issue("localhost", names=["::1"]), authority.pem))
    result = agent.fetch(put(good), endpoint=f"[::1]:{server.port}").succeeded("installed")
    assert result.event("handshake")["peer"] == f"[::1]:{server.port}"


def test_an_ip_address_that_the_certificate_does_not_name(agent, tmp_path, put, good, authority, up):
    server = up(Nginx(tmp_path / "name", authority.issue("127.0.0.1", names=["localhost"]), authority.pem))
    error = agent.fetch(put(good), endpoint=f"127.0.0.1:{server.port}").failed(76, "enclave_untrusted")
    assert "127.0.0.1" in error["reason"]


def test_a_name_at_an_address(agent, put, good, enclave):
    agent.fetch(put(good), endpoint=f"enclave.test@127.0.0.1:{enclave.port}").succeeded("installed")


def test_another_name_at_an_address(agent, put, good, enclave):
    agent.fetch(put(good), endpoint=f"other.test@127.0.0.1:{enclave.port}").failed(76, "enclave_untrusted")


def test_a_url_with_a_path(agent, put, good, enclave):
    result = agent.fetch(put(good), endpoint=f"https://localhost:{enclave.port}/api/watermark").succeeded(
        "installed"
    )
    assert result.event("handshake")["status"] == 200


def test_endpoints_from_the_environment(agent, put, good, enclave):
    result = agent.fetch(put(good), env={"ENCLAVE_ENDPOINT": f"https://localhost:{enclave.port}"}).succeeded(
        "installed"
    )
    assert result.event("handshake")["result"] == "accepted"


# ---- what an answer means


@pytest.mark.parametrize("path,status", [("/absent", 404), ("/broken", 500)])
def test_an_application_that_is_not_well_has_still_accepted_us(agent, put, good, enclave, path, status):
    result = agent.fetch(put(good), f"--health-path={path}", endpoint=enclave.endpoint).succeeded("installed")
    handshake = result.event("handshake")
    assert (handshake["result"], handshake["status"]) == ("accepted", status)


def test_forbidden_to_everybody_says_nothing_about_the_next_identity(
    agent, aws, put, good, enclave, authority
):
    """Compared with the installed identity, which is forbidden too."""
    arn = put(good)
    agent.fetch(arn, endpoint=enclave.endpoint).succeeded("installed")
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    result = agent.fetch(arn, "--health-path=/forbidden", endpoint=enclave.endpoint)
    assert result.status == 0, result.stderr


def test_forbidden_to_the_first_identity_is_a_refusal(agent, put, good, enclave):
    agent.fetch(put(good), "--health-path=/forbidden", endpoint=enclave.endpoint).failed(
        76, "enclave_refused"
    )


def test_a_server_that_asks_for_no_certificate(agent, tmp_path, put, good, authority, up):
    """That is no mutual TLS, and proves nothing."""
    server = up(
        OpenNginx(tmp_path / "open", authority.issue("localhost", names=["localhost"]), authority.pem)
    )
    error = agent.fetch(put(good), endpoint=server.endpoint).failed(76, "enclave_refused")
    assert "no client certificate" in error["reason"]


# ---- the policies


@pytest.fixture
def dead():
    return f"localhost:{free_port()}"


def test_mixed_results_install_with_a_warning(agent, tmp_path, put, rogue, authority, stranger, enclave, up):
    """One of two enclaves accepts: a stale address must not freeze a fleet."""
    both = authority.pem + stranger.pem
    other = up(Nginx(tmp_path / "other", authority.issue("localhost", names=["localhost"]), stranger.pem))
    result = agent.fetch(put(document(rogue, both)), endpoint=[enclave.endpoint, other.endpoint]).succeeded(
        "installed"
    )
    assert result.event("rehearsal_mixed")["accepted"] == 1
    assert sorted(event["result"] for event in result.all("handshake"))[0] == "accepted"


def test_require_wants_all_of_them(agent, put, good, enclave, dead):
    agent.fetch(put(good), "--rehearse=require", endpoint=[enclave.endpoint, dead]).failed(
        76, "enclave_unreachable"
    )
    assert snapshot(agent.dir) is None
    agent.fetch(put(good), "--rehearse=require", endpoint=enclave.endpoint).succeeded("installed")


def test_refuse_passes_over_one_that_is_down(agent, put, good, enclave, dead):
    agent.fetch(put(good), endpoint=[enclave.endpoint, dead]).succeeded("installed")


def test_off_asks_nobody(agent, put, rogue, authority, enclave):
    result = agent.fetch(put(document(rogue, authority.pem)), "--rehearse=off", endpoint=enclave.endpoint)
    assert not result.succeeded("installed").all("handshake")


def test_an_unproven_identity_does_not_replace_a_serving_one(agent, aws, put, good, authority, enclave, dead):
    """The enclaves are down: the installed identity stays until one can say what it thinks of the new one."""
    arn = put(good)
    agent.fetch(arn, endpoint=enclave.endpoint).succeeded("installed")
    before = snapshot(agent.dir)
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn, endpoint=dead).succeeded("kept_unproven")
    assert snapshot(agent.dir) == before
    agent.fetch(arn, endpoint=enclave.endpoint).succeeded("installed")


NO_RIGHT = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"]
SHORTAGES = {
    "descriptors": [["prlimit", f"--nofile={count}:{count}", "--"] for count in range(5, 26)],
    "memory": [["prlimit", f"--memlock={kib * 1024}:{kib * 1024}", "--", *NO_RIGHT] for kib in range(64, 257, 16)],
}


@pytest.mark.parametrize("kind", SHORTAGES)
def test_a_shortage_of_its_own_lets_nothing_unproven_pass(agent, aws, put, good, authority, enclave, kind):
    """However much there is: the identity is tried and installed, or nothing changes, and 71 says why."""
    arn = put(good)
    agent.fetch(arn, endpoint=enclave.endpoint).succeeded("installed")
    seen = set()
    for limit in SHORTAGES[kind]:
        aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
        before = snapshot((agent.dir / "..data").resolve())
        result = agent.fetch(arn, endpoint=enclave.endpoint, prefix=limit, deadline="20s")
        seen.add(result.status)
        if result.status == 0:
            assert [event["result"] for event in result.succeeded("installed").all("handshake")] == ["accepted"], limit
        else:
            assert result.status == 71 and snapshot((agent.dir / "..data").resolve()) == before, (limit, result.stderr)
        assert not set(result.names()) & {"unproven", "kept_unproven", "kept_stale"}, (limit, result.stderr)
    assert seen == {0, 71}


# Of an installed certificate: what it had of life, what is left, and whether that is worth keeping.
MARGINS = {
    "long, two hours left": (10 * DAY, DAY / 12, True),
    "long, half an hour left": (10 * DAY, DAY / 48, False),
    "an hour, forty minutes left": (DAY / 72, DAY / 36, True),
    "an hour, seven minutes left": (DAY / 27, 7 * DAY / 1440, True),
    "an hour, three minutes left": (DAY / 25, DAY / 480, False),
}


@pytest.mark.parametrize("case", MARGINS)
def test_what_is_worth_keeping(agent, aws, put, authority, dead, case):
    """An hour of life, or a tenth of all of it: while no enclave can be asked, and while AWS cannot."""
    had, left, kept = MARGINS[case]
    arn = put(document(authority.issue("ECS-Client", lifetime=(-had, left)), authority.pem))
    agent.fetch(arn).succeeded("installed")
    away = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"https://localhost:{free_port()}"}
    result = agent.fetch(arn, env=away, deadline="2s")
    assert (result.status == 0, len(result.all("kept_stale"))) == (kept, kept), result.stderr
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    result = agent.fetch(arn, endpoint=dead).succeeded("kept_unproven" if kept else "installed")
    assert len(result.all("unproven")) == (not kept)


def test_an_enclave_that_comes_up_late(agent, tmp_path, put, good, authority, up):
    """It may start with its host."""
    port = free_port()
    running = agent.start(
        *agent.fetch_arguments(put(good), "--rehearse=require", endpoint=f"localhost:{port}")
    )
    server = up(
        Nginx(tmp_path / "late", authority.issue("localhost", names=["localhost"]), authority.pem, port=port)
    )
    assert running.finish().succeeded("installed").all("handshake")[-1]["endpoint"] == server.endpoint
