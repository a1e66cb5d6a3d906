# SPDX-License-Identifier: Apache-2.0
"""Services of platform/clients, which serve with the installed set: clients of its CA are answered through rotations, others never."""

import hashlib
import http.client
import json
import ssl
import subprocess
import threading

import pytest

from agent import wait_for
from clients import SERVERS, environment
from servers.process import Process, start_on

ROTATIONS = 20
ANSWERS = 5


def context(directory, issuer, cas):
    """Of a client whose certificate this CA has issued, and who trusts those."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=cas)
    made.load_cert_chain(*issuer.issue("Caller").write(directory, "caller"))
    return made


class Peer:
    """Asks all the time, by one connection as long as the server lets it, or each time by a new one; counts by the server's leaf."""

    def __init__(self, port, context, keeps):
        self.context = context  # of the next connection
        self.seen, self.failures = {}, []
        self._port, self._keeps = port, keeps
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        connection = None
        while not self._stopping.wait(0.01):
            try:
                if not connection:
                    connection = http.client.HTTPSConnection("localhost", self._port, timeout=60, context=self.context)
                    connection.connect()
                    leaf = hashlib.sha256(connection.sock.getpeercert(True)).hexdigest()
                connection.request("GET", "/")
                answer = connection.getresponse()
                ends = answer.will_close
                assert answer.status == 200 and "Caller" in json.loads(answer.read())["client"]
            except Exception as error:
                self.failures.append(repr(error))
                connection = None
                continue
            self.seen[leaf] = self.seen.get(leaf, 0) + 1
            if ends or not self._keeps:
                connection.close()
                connection = None

    def stop(self):
        self._stopping.set()
        self._thread.join(90)


@pytest.fixture(params=SERVERS)
def command(request, made):
    return made(SERVERS[request.param])


@pytest.fixture
def serving(command, own, up, tmp_path):
    """The port of the service."""
    argv, more = command

    def launch(port):
        env = environment(own.agent.dir, LISTEN=f"127.0.0.1:{port}", **more)
        return Process(argv, tmp_path / "log", env)

    process, port = start_on(None, launch)
    up(process)
    return port


def is_refused(port, context):
    """By an alert, a close, or nginx's 400."""
    connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 400
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return True
    finally:
        connection.close()


def test_callers_are_answered_through_rotations(serving, own, up, tmp_path):
    first = context(tmp_path, own.authority, own.ca)
    peers = [up(Peer(serving, first, keeps)) for keeps in (True, False)]
    issuers = [own.authority]

    def all_see(leaf):
        def seen():
            failures = [each for peer in peers for each in peer.failures]
            assert not failures, failures
            return all(peer.seen.get(leaf, 0) >= ANSWERS for peer in peers)

        wait_for(seen, 300)

    all_see(own.leaf)
    for _ in range(ROTATIONS):
        before = own.authority
        own.next()
        issuers.append(own.authority)
        for peer in peers:
            # Callers trust the new CA before somebody shows a leaf of it.
            peer.context = context(tmp_path, before, own.ca)
        own.install()
        all_see(own.leaf)
        own.enclave.show(own.authority)
        for issuer in issuers[:-2]:
            assert is_refused(serving, context(tmp_path, issuer, own.ca))
    for peer in peers:
        peer.stop()
    print(f"{sum(sum(peer.seen.values()) for peer in peers)} requests answered, {ROTATIONS} rotations")
    assert not any(peer.failures for peer in peers)
    assert all(len(peer.seen) == ROTATIONS + 1 for peer in peers)


def test_a_client_without_a_certificate_is_refused(serving, own, tmp_path):
    anonymous = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anonymous.load_verify_locations(cadata=own.ca)
    assert is_refused(serving, anonymous)
    assert not is_refused(serving, context(tmp_path, own.authority, own.ca))


def test_it_does_not_start_without_a_set(command, tmp_path):
    argv, more = command
    env = environment(tmp_path, LISTEN="127.0.0.1:1", **more)
    done = subprocess.run([*map(str, argv)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and "no such file" in done.stderr.lower()
