# SPDX-License-Identifier: Apache-2.0
"""platform/proxies: an application asks the enclave, and is asked, by a proxy that the agent's hook reloads; nothing fails."""

import http.client
import json
import os
import subprocess
import sys

import pytest

from agent import ROOT, wait_for
from clients import HERE, environment, need, with_packages
from servers.http import Http, json_answer
from servers.process import Process, free_port, listening
from test_nginx_live import Client
from test_servers import ANSWERS, ROTATIONS, Peer, context, is_refused

PROXIES = ROOT / "platform" / "proxies"


class Proxy:
    """One of the recipes, with the paths and ports of a test in place of its own."""

    def __init__(self, directory, own, application):
        self.dir, self.inner, self.outer = directory, free_port(), free_port()
        directory.mkdir()
        text = (PROXIES / self.recipe).read_text()
        for named, here in {
            "server enclave.example.com:3000": f"server 127.0.0.1:{own.enclave.endpoint.rpartition(':')[2]}",
            "server enclave enclave.example.com:3000": f"server enclave 127.0.0.1:{own.enclave.endpoint.rpartition(':')[2]}",
            "enclave.example.com": "localhost",
            "127.0.0.1:8080": f"127.0.0.1:{self.inner}",
            "listen 8443": f"listen 127.0.0.1:{self.outer}",
            "bind :8443": f"bind 127.0.0.1:{self.outer}",
            "127.0.0.1:3000": f"127.0.0.1:{application.port}",
            "/etc/ecs/mtls": str(own.agent.dir),
            "/run/": f"{directory}/",
        }.items():
            text = text.replace(named, here)
        self.config = directory / self.recipe
        self.config.write_text(self.more(text))
        self._process = Process(self.command(), directory / "log")
        if not self._process.wait_until(lambda: listening(self.inner) and listening(self.outer)):
            raise RuntimeError(f"{self.recipe}: {self._process.output()}")

    def more(self, text):
        return text

    def workers(self):
        pid = self._process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return set(file.read().split())

    def output(self):
        return self._process.output()

    def stop(self):
        self._process.stop()


class Nginx(Proxy):
    recipe, options = "nginx.conf", ()

    def command(self):
        need("nginx")
        return ["nginx", "-e", "stderr", "-p", self.dir, "-c", self.config, "-g", "daemon off;"]

    def more(self, text):
        """Nothing of it is written to this machine's own places."""
        paths = "".join(f"{name}_temp_path {self.dir}/tmp; " for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
        return text.replace("http {", f"http {{ access_log off; client_body_temp_path {self.dir}/tmp; {paths}", 1)

    @property
    def hook(self):
        return f"--on-change-signal=HUP:{self.dir}/nginx.pid"


class HaProxy(Proxy):
    recipe, options = "haproxy.cfg", ("--combined",)

    def command(self):
        need("haproxy")
        return ["haproxy", "-W", "-p", self.dir / "haproxy.pid", "-f", self.config]

    @property
    def hook(self):
        return f"--on-change-signal=USR2:{self.dir}/haproxy.pid"


KINDS = {"nginx": Nginx, "HAProxy": HaProxy}


@pytest.mark.parametrize("name", KINDS)
def test_an_application_behind_a_proxy(name, own, up, made, tmp_path):
    kind = KINDS[name]
    own.options = kind.options
    own.next()
    own.install()
    own.enclave.show(own.authority)
    application = up(Http(lambda request: json_answer(200, {"client": request.headers["X-Client-Subject"]})))
    proxy = up(made(lambda: kind(tmp_path / "proxy", own, application)))
    own.options = (*kind.options, proxy.hook)

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", proxy.inner, timeout=60)
        connection.request("GET", "/api/watermark")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, f"{answer.status} {body}"
        return json.loads(body)["client"]

    inner = up(Client(ask))
    outer = up(Peer(proxy.outer, context(tmp_path, own.authority, own.ca), keeps=False))
    issuers = [own.authority]

    def all_see(leaf):
        wanted = own.enclave.answered[leaf] + ANSWERS

        def seen():
            failures = [*inner.failures, *outer.failures, *own.enclave.refused]
            assert not failures, f"{failures}\n{proxy.output()}"
            return own.enclave.answered[leaf] >= wanted and outer.seen.get(leaf, 0) >= ANSWERS

        wait_for(seen, 300)

    all_see(own.leaf)
    for _ in range(ROTATIONS):
        before, workers = own.authority, proxy.workers()
        own.next()
        issuers.append(own.authority)
        outer.context = context(tmp_path, before, own.ca)
        own.install().event("hook_done")
        all_see(own.leaf)
        wait_for(lambda: not workers & proxy.workers(), 300)
        own.enclave.show(own.authority)
        assert all(is_refused(proxy.outer, context(tmp_path, issuer, own.ca)) for issuer in issuers[:-2])
    inner.stop()
    outer.stop()
    print(f"{inner.requests} and {sum(outer.seen.values())} requests answered, {ROTATIONS} rotations")
    assert not inner.failures and not outer.failures and not own.enclave.refused
    assert len(outer.seen) == ROTATIONS + 1


def test_envoys_files_are_read_strictly(made, tmp_path):
    """Against the messages of its API; Envoy itself runs nowhere here."""
    env = environment(tmp_path, **made(lambda: with_packages("envoy")))
    argv = [sys.executable, HERE / "read_envoy.py", PROXIES]
    done = subprocess.run([*map(str, argv)], env=env, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    secrets = {name: read[name]["resources"][0] for name in ("sds-client.yaml", "sds-ca.yaml")}
    for name, secret in secrets.items():
        held = secret.get("tls_certificate") or secret["validation_context"]
        assert held["watched_directory"] == {"path": "/etc/ecs/mtls"}
        asked = (PROXIES / "envoy.yaml").read_text()
        assert asked.count(f"/etc/envoy/{name}") == 2 and asked.count(f"name: {secret['name']}\n") == 2
    files = [*secrets["sds-client.yaml"]["tls_certificate"].values(), secrets["sds-ca.yaml"]["validation_context"]["trusted_ca"]]
    named = {os.path.basename(each["filename"]) for each in files if "filename" in each}
    assert named == {"client.crt", "client.key", "ca.crt"}
