# SPDX-License-Identifier: Apache-2.0
"""Identities that the real agent installs one after the other, and an enclave that trusts the newest two alone."""

import collections
import hashlib
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent import wait_for
from servers.pki import Authority, document

OWN = "/api/watermark"  # what clients ask; the agent asks something else
ANSWERS = 5  # that a connection gets before it is closed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def setup(self):
        self.enclave = self.server.enclave
        self.leaf, self.answers = None, 0
        try:
            self.request.settimeout(600)
            self.request = self.enclave.context.wrap_socket(self.request, server_side=True)
        except OSError as error:
            # A client that goes away has not failed: Go ends handshakes that it needs no more.
            if not isinstance(error, ConnectionError) and "EOF occurred" not in str(error):
                self.enclave.refused.append(f"handshake: {error}")
            raise
        self.leaf = hashlib.sha256(self.request.getpeercert(True)).hexdigest()
        self.enclave.count(self.enclave.open, self.leaf, 1)
        super().setup()

    def finish(self):
        self.enclave.count(self.enclave.open, self.leaf, -1)
        super().finish()
        self.request.close()

    def do_GET(self):
        time.sleep(self.enclave.pause)
        trusted = self.leaf in self.enclave.trusted
        status = 200 if trusted else 403
        if not trusted:
            self.enclave.refused.append(f"{self.path} by an identity that is none of the newest two")
        elif self.path.partition("?")[0] == OWN:
            self.enclave.asked_by[self.leaf].add(self.path)
            self.enclave.count(self.enclave.answered, self.leaf, 1)
        subject = ",".join(f"{key}={value}" for ((key, value),) in self.request.getpeercert()["subject"])
        answer = {"watermark": "c2VlbiBhbmQgc2lnbmVk", "client": subject.replace("commonName", "CN")}
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.answers += 1
        if self.answers == ANSWERS:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        pass  # setup() has noted it


class Enclave:
    """
    Real TLS by OpenSSL. It trusts the CAs of the newest two identities in the handshake, and their leaves at each request, on a
    connection that has been there for longer too.
    """

    pause = 0  # seconds before an answer

    def __init__(self, directory):
        self._dir = Path(directory)
        self._dir.mkdir()
        self._newest = collections.deque(maxlen=2)
        self.trusted, self.refused = (), []
        self.answered, self.open = collections.Counter(), collections.Counter()
        self.asked_by = collections.defaultdict(set)  # leaf -> paths: each of many has its own
        self._lock = threading.Lock()

    def count(self, counter, leaf, number):
        with self._lock:
            counter[leaf] += number

    def trust(self, authority, pair):
        """From now on this one and the one before."""
        self._newest.append((authority, hashlib.sha256(_der(pair)).hexdigest()))
        self.trusted = tuple(leaf for _, leaf in self._newest)
        if not hasattr(self, "context"):
            self.show(authority)
        else:
            self._renew()

    def show(self, authority):
        """A leaf that this CA has issued, in new connections."""
        self._pair = authority.issue("Enclave", names=["localhost", "127.0.0.1"]).write(self._dir, "server")
        self._renew()

    def _renew(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata="".join(authority.pem for authority, _ in self._newest))
        context.load_cert_chain(*self._pair)
        self.context = context

    def start(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.enclave = self
        self.endpoint = f"localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Rotation:
    """
    Each identity comes from a CA of its own. The secret's ca_cert has that CA and the one before, and so the enclave can go over
    to the new CA when its clients have.
    """

    options = ()  # of the agent, from the next install() on

    def __init__(self, agent, aws, name, up, **leaf):
        self.agent, self._aws, self._name, self._leaf = agent, aws, name, leaf
        self.number, self.authority, self.arn = 0, None, None
        self.enclave = Enclave(agent.dir.with_name("enclave"))
        self.next()
        up(self.enclave).start()
        self.install()

    def next(self):
        """A new identity, which the enclave trusts and the secret holds."""
        self.number += 1
        before, self.authority = self.authority, Authority(f"Enclave-CA-{self.number}")
        self.pair = self.authority.issue(f"ECS-Client-{self.number}", **self._leaf)
        self.leaf = hashlib.sha256(_der(self.pair)).hexdigest()
        self.ca = self.authority.pem + (before.pem if before else "")
        self.enclave.trust(self.authority, self.pair)
        value = document(self.pair, self.ca)
        if self.arn:
            self._aws.rotate(self.arn, value)
        else:
            self.arn = self._aws.put(self._name, value)

    def install(self):
        """By the agent, which tries it on the enclave. Of the set before nothing is kept, so that readers have to be right."""
        options = ("--keep-previous=0", *self.options)
        return self.agent.fetch(self.arn, *options, endpoint=self.enclave.endpoint).succeeded("installed")

    def turn(self, going_on, answers, many=1):
        """
        One rotation, after which so many requests have been answered with the newest leaf, of each that asks at least one; the
        enclave's CA is the last to go.
        """
        self.next()
        self.install()
        self.wait(going_on, answers, many)
        self.enclave.show(self.authority)

    def wait(self, going_on, answers, many=1):
        count = self.enclave.answered[self.leaf] + answers

        def come():
            going_on()
            return self.enclave.answered[self.leaf] >= count and len(self.enclave.asked_by[self.leaf]) >= many

        wait_for(come, 300)


def _der(pair):
    return ssl.PEM_cert_to_DER_cert(pair.cert)
