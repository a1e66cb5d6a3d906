# SPDX-License-Identifier: Apache-2.0
"""platform/kubernetes: valid by the schemas of Kubernetes, and what its containers run does its work as they would run it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from agent import PROGRAM, ROOT, Service, wait_for
from clients import environment, with_packages
from servers.aws import REGION

MANIFESTS = ROOT / "platform" / "kubernetes"
KEYS = {"env": "name", "volumeMounts": "mountPath"}  # of list entries that a patch adds to; else "name"


def documents(name):
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def merged(value, patch, field=None):
    """As kubectl patch does for the fields that are here."""
    if isinstance(patch, dict):
        return {**value, **{key: merged(value[key], part, key) if key in value else part for key, part in patch.items()}}
    if isinstance(patch, list):
        key = KEYS.get(field, "name")
        named = {each[key]: each for each in value}
        return list({**named, **{each[key]: merged(named.get(each[key], {}), each) for each in patch}}.values())
    return patch


def patched():
    (patch,) = documents("web-identity.yaml")
    return [merged(each, patch) if each["kind"] == "Deployment" else each for each in documents("app.yaml")]


@pytest.mark.parametrize("version", ["1.29", None])
def test_the_manifests_are_valid(made, tmp_path, version):
    (tmp_path / "patched.yaml").write_text(yaml.safe_dump_all(patched()))
    env = environment(tmp_path, **made(lambda: with_packages("kubernetes")))
    chosen = ["-k", version] if version else []
    files = [MANIFESTS / "app.yaml", MANIFESTS / "web-identity.yaml", tmp_path / "patched.yaml"]
    argv = [sys.executable, "-m", "kubernetes_validate", "--strict", *chosen, files[0], files[2]]
    done = subprocess.run([*map(str, argv)], env=env, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


class Pod:
    """What a container of the manifest runs, with its arguments, variables and user, on this machine."""

    def __init__(self, manifest, aws, arn, enclave, credentials):
        self.dir = Path(tempfile.mkdtemp(prefix="mtls-agent-pod-"))
        self.dir.chmod(0o755)
        self.program = shutil.copy(PROGRAM, self.dir / "mtls-agent")
        self.volume = self.dir / "mtls"
        self.volume.mkdir()
        self.volume.chmod(0o777)  # as the kubelet makes an emptyDir
        found = {each["kind"]: each for each in manifest}
        spec = found["Deployment"]["spec"]["template"]["spec"]
        self.group = spec["securityContext"]["runAsGroup"]
        self.containers = {each["name"]: each for each in spec["initContainers"] + spec["containers"]}
        token = self.dir / "token"
        token.write_text(aws.web_token)
        bundle = shutil.copy(aws.ca_bundle, self.dir / "aws.crt")
        self._variables = {
            **found["ConfigMap"]["data"],
            **credentials,
            **aws.place(),
            "AWS_CA_BUNDLE": str(bundle),
            "MTLS_AGENT_SECRET": arn,
            "ENCLAVE_ENDPOINT": f"https://{enclave.endpoint}",
            "AWS_REGION": REGION,
            "MTLS_AGENT_DIR": str(self.volume),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": "/usr/bin:/bin",
        }
        self._here = {"/var/run/secrets/aws/token": str(token), "arn:aws:iam::123456789012:role/app": aws.role_arn}

    def environment(self, name):
        own = {each["name"]: each.get("value") for each in self.containers[name].get("env", [])}
        return {**self._variables, **{key: self._here[value] for key, value in own.items()}}

    def as_user(self, name):
        user = self.containers[name]["securityContext"]["runAsUser"]
        return ["setpriv", f"--reuid={user}", f"--regid={self.group}", "--clear-groups", "--"]

    def command(self, name, arguments=None):
        return [*self.as_user(name), str(self.program), *(arguments or self.containers[name]["args"])]

    def run(self, argv, env=None):
        return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=120)

    def stop(self):
        shutil.rmtree(self.dir)


def keys(aws):
    return {name: value for name, value in aws.environment().items() if "KEY" in name}


CREDENTIALS = {"keys": (lambda: documents("app.yaml"), keys), "a web identity": (patched, lambda aws: {})}


@pytest.mark.skipif(os.geteuid() != 0, reason="containers of several users take root to make")
@pytest.mark.parametrize("credentials", CREDENTIALS)
def test_what_the_containers_run(rotation, aws, up, tmp_path, credentials):
    manifest, more = CREDENTIALS[credentials]
    pod = up(Pod(manifest(), aws, rotation.arn, rotation.enclave, more(aws)))
    done = pod.run(pod.command("mtls-init"), pod.environment("mtls-init"))
    assert done.returncode == 0, done.stderr
    source = "web_identity" if credentials == "a web identity" else "environment"
    assert f'"source":"{source}"' in done.stderr

    def key_of(*who):
        return pod.run([*who, "cat", str(pod.volume / "client.key")])

    assert key_of(*pod.as_user("app")).stdout == rotation.pair.key
    assert key_of("setpriv", "--reuid=20002", "--regid=20002", "--clear-groups", "--").returncode != 0

    argv, env = pod.command("mtls-agent"), pod.environment("mtls-agent")
    service = Service(argv, env, tmp_path / "run.log", tmp_path / "run.out")
    try:
        probe = pod.containers["mtls-agent"]["readinessProbe"]["exec"]["command"]
        assert probe[0] == "/mtls-agent"
        wait_for(lambda: pod.run(pod.command("mtls-agent", probe[1:]), env).returncode == 0)
        rotation.next()
        service.send(1)
        service.wait("installed")
        assert key_of(*pod.as_user("app")).stdout == rotation.pair.key
    finally:
        assert service.stop()[0] == 0
