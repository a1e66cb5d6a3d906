# SPDX-License-Identifier: Apache-2.0
"""
A host as the pages have it, in namespaces of its own: AWS and instance metadata by their own names and addresses, an enclave
at enclave.example.com:3000, /etc and /run that are gone afterwards, and a folder that commands are run in.
"""

import json
import re
import select
import socket
import subprocess
import threading

from agent import PROGRAM, ROOT
from servers.aws import Aws
from servers.enclave import Nginx
from servers.imds import Imds
from servers.namespace import Namespace
from servers.nitro import Attested, Hardware
from servers.pki import Commands, document

REGION = "eu-west-1"
WITHIN_S = 300
NAMES = ("enclave.example.com", "10.0.1.100")
HOSTS = f"""127.0.0.1 localhost
127.0.0.1 secretsmanager.{REGION}.amazonaws.com sts.{REGION}.amazonaws.com
10.0.1.100 {NAMES[0]}
"""
ARN = re.compile(rf"arn:aws:secretsmanager:{REGION}:123456789012:secret:([\w/-]+)-AbCdEf")


class Relay:
    """What connects to a listener reaches a port of this machine's loopback."""

    def __init__(self, listener, port):
        self.listener, self.port = listener, port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                ours, _ = self.listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self.port), 10)
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(ours, theirs), daemon=True).start()

    @staticmethod
    def _pass_on(*ends):
        open_ends = set(ends)
        while open_ends:
            for end in select.select(open_ends, [], [], WITHIN_S)[0] or ends:
                other = ends[1 - ends.index(end)]
                try:
                    data = end.recv(65536)
                    other.sendall(data) if data else other.shutdown(socket.SHUT_WR)
                except OSError:
                    data = b""
                if not data:
                    open_ends.discard(end)
        for end in ends:
            end.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Host:
    def __init__(self, directory, aws, awscli):
        self.dir, self.aws, self.servers = directory, aws, []
        self.home, self.commands = directory / "home", directory / "bin"
        for folder in self.home, self.commands:
            folder.mkdir()
        (self.home / "tools").symlink_to(ROOT / "tools")
        (self.home / "platform").symlink_to(ROOT / "platform")
        (self.commands / "mtls-agent").symlink_to(PROGRAM)
        self._make_aws_command(awscli)
        self.space = self._up(Namespace(directory / "space", addresses=["10.0.1.100", "10.0.1.101", "169.254.169.254"]))
        self._make_places()
        self._up(Relay(self.space.open("tcp", "127.0.0.1", 443), aws.port))
        self._up(Imds(aws.session(), region=REGION, listener=self.space.open("tcp", "169.254.169.254", 80)))
        self.enclave = None
        self.had = set()

    def _up(self, server):
        self.servers.insert(0, server)
        return server

    def _make_aws_command(self, awscli):
        """That of an administrator, where they work."""
        keys = self.aws.environment(self.aws.admin_keys)
        lines = [f"export {name}='{keys[name]}'" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
        command = self.commands / "aws"
        command.write_text("\n".join(["#!/bin/sh", *lines, f"export AWS_DEFAULT_REGION={REGION}", f'exec {awscli} "$@"', ""]))
        command.chmod(0o755)

    def _make_places(self):
        etc = self.dir / "etc"
        self.inside(
            f"cp -a /etc {etc} && rm -f {etc}/resolv.conf && echo nameserver 127.0.0.1 >{etc}/resolv.conf &&"
            f" rm -rf {etc}/ecs {etc}/mtls-agent* && mount --bind {etc} /etc && mount -t tmpfs run /run",
            folder="/",
        )
        # Nobody but root may write on the way to it.
        self.inside(f"mount --bind {self.home} /srv", folder="/")
        (etc / "hosts").write_text(HOSTS)

    @property
    def environment(self):
        path = f"{self.commands}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": "/srv", "LANG": "C.UTF-8", "AWS_CA_BUNDLE": str(self.aws.ca_bundle)}

    def inside(self, script, folder="/srv"):
        """Runs a script of bash in the page's folder; fails where that fails."""
        done = self.run(script, folder)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def run(self, script, folder="/srv"):
        """The same, whatever becomes of it: its status, and all that it prints."""
        command = [*self.space.enter, "bash", "-euo", "pipefail", "-c", f"cd {folder}\n{self.named(script)}"]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, text=True, timeout=WITHIN_S, **both)
        for name, arn in self.arns().items():
            done.stdout = done.stdout.replace(arn, arn[:-6] + "AbCdEf")
        return done

    # ---- what may be asked for

    def have(self, name):
        if name not in self.had:
            self.had.add(name)
            getattr(self, f"have_{name}")()

    def have_certificates(self):
        """pki/, as the command of docs/certificates.md makes it; not where a page has made it."""
        if not (self.home / "pki").exists():
            self.inside(f"tools/make-certs --dir pki all {' '.join(NAMES)}")

    def pki(self):
        self.have("certificates")
        return Commands(self.home / "pki")

    def have_files(self):
        """The client's and its CA, as one who has some."""
        self.have("certificates")
        self.inside("cp pki/client.crt pki/client.key pki/ca.crt .")

    def have_documents(self):
        """client.json and server.json: the two sides' secrets."""
        pki = self.pki()
        server = pki.pair("server")
        (self.home / "client.json").write_text(document(pki.pair("client"), pki.ca_pem))
        (self.home / "server.json").write_text(json.dumps({"server_cert": server.cert, "server_key": server.key, "ca_cert": pki.ca_pem}))

    def have_misfit(self):
        """A server.json whose ca_cert is another CA."""
        server = self.pki().pair("server")
        self.inside("tools/make-certs --dir other ca Other-CA")
        other = (self.home / "other/ca.crt").read_text()
        (self.home / "server.json").write_text(json.dumps({"server_cert": server.cert, "server_key": server.key, "ca_cert": other}))

    def have_secret(self):
        for name in "confidential-cluster-mtls-cert", "mtls":
            self.arn(name)

    def have_pending(self):
        """A version AWSPENDING of the secret mtls, beside its current one."""
        self.arn("mtls")
        pki = Commands(self.home / "pki")
        value = document(pki.pair("client"), pki.ca_pem)
        self.aws.client("secretsmanager", region=REGION).put_secret_value(SecretId="mtls", SecretString=value, VersionStages=["AWSPENDING"])

    def have_enclave(self):
        pki = self.pki()
        self._serve(Nginx(self.dir / "enclave", pki.pair("server"), pki.ca_pem))

    def have_attested(self):
        """In its place one that shows attestation documents, as document.bin is, of made-up hardware that is believed."""
        self.have("configured")
        pki, hardware = self.pki(), Hardware()
        self._serve(Attested(self.dir / "attested", pki.pair("server"), pki.ca_pem, hardware))
        (self.home / "document.bin").write_bytes(hardware.document())
        self.inside(
            f"echo {hardware.fingerprint} >/etc/mtls-agent/roots && echo attest-root = /etc/mtls-agent/roots >>/etc/mtls-agent/agent.conf"
        )

    def _serve(self, server):
        if self.enclave:
            self.enclave.port = server.port
        else:
            self.enclave = self._up(Relay(self.space.open("tcp", "10.0.1.100", 3000), server.port))
        self._up(server)

    def have_configured(self):
        """/etc/mtls-agent/agent.conf with a secret and an endpoint."""
        text = f"secret = {self.arn('confidential-cluster-mtls-cert')}\nendpoint = {NAMES[0]}:3000\n"
        self.inside(f"mkdir -p /etc/mtls-agent && printf '{text}' >/etc/mtls-agent/agent.conf")

    def have_file(self):
        """agent.conf in the folder alone, as where an image is made."""
        text = f"secret = {self.arn('mtls')}\nendpoint = {NAMES[0]}:3000\n"
        (self.home / "agent.conf").write_text(text)
        self.inside("rm -f /etc/mtls-agent/agent.conf")

    def have_installed(self):
        """The identity, by that file."""
        for name in "enclave", "configured":
            self.have(name)
        self.inside("mtls-agent fetch")

    def have_running(self):
        """And `run`, which is ready."""
        for name in "enclave", "configured":
            self.have(name)
        log = self.dir / "run.log"
        with open(log, "wb") as output:
            command = [*self.space.enter, self.commands / "mtls-agent", "run"]
            child = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self._up(Stopped(child))
        self.inside("for i in $(seq 600); do mtls-agent healthcheck --min-endpoints 1 --max-fetch-age 1h && exit; sleep 0.1; done; exit 1")

    # ---- secrets

    def arns(self):
        secrets = self.aws.client("secretsmanager", region=REGION).list_secrets()["SecretList"]
        return {each["Name"]: each["ARN"] for each in secrets}

    def arn(self, name):
        """Of the secret of that name, which is made where it is not there."""
        if name not in self.arns():
            pki = self.pki()
            self.aws.put(name, document(pki.pair("client"), pki.ca_pem), region=REGION)
        return self.arns()[name]

    def named(self, script):
        """AWS gives each ARN a suffix by chance, where the pages say AbCdEf."""
        return ARN.sub(lambda found: self.arn(found[1]), script)

    def stop(self):
        for server in self.servers:
            server.stop()


class Stopped:
    """A child that ends with the host."""

    def __init__(self, child):
        self.child = child

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
