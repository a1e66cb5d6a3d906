# SPDX-License-Identifier: Apache-2.0
"""Each client of platform/clients through rotations, and where it must not be right."""

import json
import os
import shutil
import subprocess

import pytest

from agent import wait_for
from clients import KINDS, MANY, environment
from servers.pki import Authority, document

ROTATIONS = 20
ANSWERS = 7  # to requests with an identity, before the next one comes: more than a connection gets
PAUSE = "0.01"
THREADS, OF_MANY = "8", 10  # and their rotations


@pytest.fixture
def command(made):
    """command(kind) is a function of directory, endpoint and arguments; it returns a command and its environment."""

    def of(kind):
        argv, more = made(kind)

        def command(directory, endpoint, *arguments, **variables):
            url = f"https://{endpoint}"
            return [*argv, *arguments], environment(directory, ENCLAVE_ENDPOINT=url, **more, **variables)

        return command

    return of


@pytest.fixture(params=KINDS)
def client(request, command):
    return command(KINDS[request.param])


def run(argv, env):
    return subprocess.run(
        [*map(str, argv)], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )


def go_through(rotation, child, rotations, answers, many=1):
    """So many rotations, each after so many answers to the newest identity; the clients that the answers name, in their order."""
    enclave = rotation.enclave

    def going_on():
        assert child.poll() is None, f"it ended: {child.err.read_text()}"
        assert not enclave.refused, enclave.refused

    rotation.wait(going_on, answers, many)
    for _ in range(rotations):
        rotation.turn(going_on, answers, many)
    # No identity of the past has a connection any more, after a while that the program chooses.
    old = [leaf for leaf in enclave.open if leaf != rotation.leaf]
    wait_for(lambda: going_on() or not any(enclave.open[leaf] for leaf in old), 300)

    child.terminate()
    child.wait(60)
    lines = [line for line in child.out.read_text().splitlines(True) if line.endswith("\n")]
    print(f"{len(lines)} requests answered, {rotations} rotations")
    assert not child.err.read_text()
    return [json.loads(line)["client"] for line in lines]


def test_no_request_fails_through_rotations(rotation, client, started):
    child = started(*client(rotation.agent.dir, rotation.enclave.endpoint, PAUSE))
    seen = go_through(rotation, child, ROTATIONS, ANSWERS)
    assert list(dict.fromkeys(seen)) == [f"CN=ECS-Client-{number + 1}" for number in range(ROTATIONS + 1)]


@pytest.mark.parametrize("kind", MANY)
def test_no_request_fails_of_many_at_the_same_time(rotation, command, started, kind):
    """Some are on their way while the client that they use is retired."""
    rotation.enclave.pause = 0.02
    child = started(*command(MANY[kind])(rotation.agent.dir, rotation.enclave.endpoint, THREADS))
    seen = go_through(rotation, child, OF_MANY, 3 * int(THREADS), int(THREADS))
    assert set(seen) == {f"CN=ECS-Client-{number + 1}" for number in range(OF_MANY + 1)}


def test_it_asks_once(rotation, client):
    done = run(*client(rotation.agent.dir, rotation.enclave.endpoint))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["client"] == "CN=ECS-Client-1"


def test_plain_files_do_as_well(rotation, client, tmp_path):
    """Without ..data: what others put there."""
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("client.crt", "client.key", "ca.crt"):
        shutil.copy(rotation.agent.dir / name, plain)
    done = run(*client(plain, rotation.enclave.endpoint))
    assert done.returncode == 0 and json.loads(done.stdout)["client"] == "CN=ECS-Client-1", done.stderr


def test_the_set_is_the_only_one_trusted(rotation, client, put, agent):
    """Not the CAs that the environment or a package of Python has."""
    stranger = Authority("Stranger-CA")
    theirs = agent.dir.with_name("theirs.crt")
    theirs.write_text(rotation.ca)
    other = agent.dir.with_name("other")
    identity = document(stranger.issue("ECS-Client"), stranger.pem)
    agent.fetch(put(identity), directory=other).succeeded("installed")
    names = "SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS".split()
    argv, env = client(other, rotation.enclave.endpoint, **{name: str(theirs) for name in names})
    (agent.dir.with_name("certifi.py")).write_text(f"where = lambda: {str(theirs)!r}\n")
    env["PYTHONPATH"] = f"{agent.dir.parent}:{env.get('PYTHONPATH', '')}"
    done = run(argv, env)
    assert done.returncode == 1 and "cert" in done.stderr.lower() and not done.stdout, done.stderr
    assert not rotation.enclave.answered


def test_an_answer_that_is_none(rotation, client):
    """An enclave that says no is an error."""
    rotation.enclave.trusted = ()
    done = run(*client(rotation.agent.dir, rotation.enclave.endpoint))
    assert done.returncode == 1 and "403" in done.stderr and not done.stdout, done.stderr


def test_a_set_that_goes_between_two_reads(rotation, client, started, tmp_path):
    """A file of it is a pipe, so that the program is in the middle when the set is replaced and gone."""
    sets = tmp_path / "sets"
    for name in ("..set-1", "..set-2"):
        shutil.copytree((rotation.agent.dir / "..data").resolve(), sets / name)
    (sets / "..data").symlink_to("..set-1")
    first = sets / "..set-1/client.crt"
    content = first.read_bytes()
    first.unlink()
    os.mkfifo(first)
    child = started(*client(sets, rotation.enclave.endpoint))
    with open(first, "wb") as pipe:
        (sets / "new").symlink_to("..set-2")
        (sets / "new").rename(sets / "..data")
        (sets / "..set-1/client.key").unlink()
        (sets / "..set-1/ca.crt").unlink()
        pipe.write(content)
    assert child.wait(300) == 0, child.err.read_text()
    assert json.loads(child.out.read_text())["client"] == "CN=ECS-Client-1"


def test_a_set_that_lacks_a_file(rotation, client, tmp_path):
    """It is an error, and is not tried for ever."""
    lacking = tmp_path / "lacking"
    shutil.copytree((rotation.agent.dir / "..data").resolve(), lacking / "..set-1")
    (lacking / "..data").symlink_to("..set-1")
    (lacking / "..set-1/client.key").unlink()
    done = run(*client(lacking, rotation.enclave.endpoint))
    assert done.returncode == 1 and done.stderr and not done.stdout
