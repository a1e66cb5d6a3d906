# SPDX-License-Identifier: Apache-2.0
"""The images: what is in them, and that they work with what ECS gives and no more."""

import json
import os
import platform
import subprocess
import tarfile

import pytest

from agent import ROOT
from container import ARCH, TARGET, Container, unpack
from servers.process import Process, start_on

IMAGES = ROOT / "build" / "images"
ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}
TAGS = ("nonroot", "host")
USER = 10001
MOST = 800 * 1024
COPYRIGHT = "usr/share/doc/mtls-agent/copyright"


def blob(descriptor):
    return (IMAGES / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()


def read(descriptor):
    return json.loads(blob(descriptor))


def manifests(tag):
    """The manifest of each architecture."""
    tags = json.loads((IMAGES / "index.json").read_text())["manifests"]
    found = [each for each in tags if each["annotations"]["org.opencontainers.image.ref.name"] == tag]
    return {each["platform"]["architecture"]: each for each in read(found[0])["manifests"]}


def skopeo(*arguments):
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *map(str, arguments)], check=True, stdout=subprocess.PIPE
    )
    return done.stdout


# ---- what is in them


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("arch", ARCHES)
def test_an_image_is_small(tag, arch):
    manifest = manifests(tag)[arch]
    parts = read(manifest)
    assert manifest["size"] + parts["config"]["size"] + sum(each["size"] for each in parts["layers"]) <= MOST


@pytest.mark.parametrize("arch", ARCHES)
def test_both_tags_are_one_layer(arch):
    layers = [read(manifests(tag)[arch])["layers"] for tag in TAGS]
    assert layers[0] == layers[1]
    assert len(layers[0]) == 1


@pytest.mark.parametrize("arch", ARCHES)
def test_a_layer_has_the_program_and_no_other(arch):
    layer = IMAGES / "blobs" / read(manifests("host")[arch])["layers"][0]["digest"].replace(":", "/")
    with tarfile.open(layer) as tar:
        files = {each.name: each for each in tar if not each.isdir()}
        program = tar.extractfile("mtls-agent").read()
        target = tar.getmember(TARGET[1:])
        assert all(each.isdir() or each.isreg() for each in tar)
    assert set(files) == {"mtls-agent", COPYRIGHT}
    assert (files["mtls-agent"].mode, files["mtls-agent"].uid, files[COPYRIGHT].mode) == (0o755, 0, 0o644)
    assert (target.uid, target.gid, target.mode) == (USER, USER, 0o755)
    assert program == (ROOT / "build" / ARCHES[arch] / "mtls-agent").read_bytes()


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(
    "tag,user,volumes", [("nonroot", "10001:10001", {TARGET: {}}), ("host", "0:0", None)]
)
def test_how_an_image_runs(arch, tag, user, volumes):
    """As another implementation reads it."""
    image = json.loads(skopeo("--override-arch", arch, "inspect", "--config", f"oci:{IMAGES}:{tag}"))
    assert (image["architecture"], image["os"]) == (arch, "linux")
    config = image["config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/mtls-agent"], ["fetch"])
    assert (config["User"], config.get("Volumes")) == (user, volumes)
    assert config["Labels"]["org.opencontainers.image.version"] == (ROOT / "VERSION").read_text().strip()
    assert "Apache-2.0" in config["Labels"]["org.opencontainers.image.licenses"]


def test_the_other_architecture_starts(tmp_path):
    other = next(arch for arch in ARCHES if arch != ARCH)
    bundle = unpack(f"{IMAGES}:nonroot", tmp_path, other)
    emulator = [f"qemu-{ARCHES[other]}-static"]
    done = subprocess.run(
        [*emulator, bundle / "rootfs/mtls-agent", "version"], check=True, stdout=subprocess.PIPE
    )
    assert done.stdout.decode().split() == ["mtls-agent", (ROOT / "VERSION").read_text().strip()]


# ---- how they run


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return {tag: unpack(f"{IMAGES}:{tag}", tmp_path_factory.mktemp(tag)) for tag in TAGS}


@pytest.fixture
def volume(tmp_path, bundles):
    """A new named volume: Docker gives it the owner and mode that the directory has in the image."""
    path = tmp_path / "volume"
    path.mkdir()
    facts = (bundles["nonroot"] / "rootfs" / TARGET[1:]).stat()
    os.chown(path, facts.st_uid, facts.st_gid)
    path.chmod(facts.st_mode & 0o7777)
    return path


@pytest.fixture
def make(bundles, tmp_path, network, task, aws, put, good):
    """make(tag, volume, ...): a container of that image; its secret has a good identity."""
    task["MTLS_AGENT_SECRET"] = put(good)
    containers = []

    def made(bundle, volume, *command, env=None, **options):
        bundle = bundles.get(bundle, bundle)
        files = {"/aws-ca.pem": aws.ca_bundle}
        environment = {**task, **(env or {})}
        containers.append(
            Container(bundle, tmp_path, network, environment, volume, command, files=files, **options)
        )
        return containers[-1]

    yield made
    for each in containers:
        each.remove()


def owners(directory):
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in [directory, *directory.rglob("*")]}


def test_fetch_by_a_user_of_no_rights(make, volume, pair):
    result = make("nonroot", volume).run().succeeded("installed")
    assert result.event("credentials")["source"] == "container"
    assert result.event("handshake")["result"] == "accepted"
    assert (volume / "client.key").read_text() == pair.key
    assert owners(volume) == {(USER, USER)}
    assert "target_writable_by_others" not in result.names()
    make("nonroot", volume).run().succeeded("unchanged")


def test_the_sandbox_is_what_it_is_outside(make, volume, agent, put, good):
    """Docker's own profile keeps nothing of it from the agent."""
    debug = {"MTLS_AGENT_LOG_LEVEL": "debug"}
    inside = make("nonroot", volume, env=debug).run().succeeded().event("sandbox")
    outside = agent.fetch(put(good), env=debug).succeeded().event("sandbox")
    assert inside["seccomp"] == "yes"
    assert (inside["landlock"], inside.get("absent")) == (outside["landlock"], outside.get("absent"))


def test_fetch_for_a_host(make, tmp_path, pair):
    directory = tmp_path / "host"
    directory.mkdir(mode=0o755)
    result = make("host", directory).run().succeeded("installed")
    assert (directory / "client.key").read_text() == pair.key
    assert owners(directory) == {(0, 0)}
    assert "target_writable_by_others" not in result.names()


def test_a_directory_of_the_host_is_not_for_the_user(make, tmp_path):
    directory = tmp_path / "host"
    directory.mkdir(mode=0o755)
    error = make("nonroot", directory).run().failed(73, "install_failed")
    assert not list(directory.iterdir()), error


def test_run_with_its_health_check(make, volume):
    often = {"MTLS_AGENT_INTERVAL": "400ms", "MTLS_AGENT_PROBE_INTERVAL": "300ms"}
    container = make("nonroot", volume, "run", env=often)
    service = container.serve()
    try:
        service.wait("installed")
        service.wait("probed", accepted=1)
        healthy = container.exec("healthcheck")
        assert healthy.returncode == 0, healthy.stderr
        status = container.exec("status", "--json")
        assert status.returncode == 0, status.stderr
        assert json.loads(status.stdout)["agent"]["state"] == "ready"
    finally:
        ended = service.stop()
    assert ended[0] == 0
    assert container.exec("healthcheck").returncode != 0


def test_little_memory_may_be_locked(make, volume):
    """64 KiB, as kernels before 5.16 and some hosts have it: refused, and done with it where that is allowed."""
    make("nonroot", volume, memlock=65536).run().failed(71, "memory_full")
    result = make("nonroot", volume, env={"MTLS_AGENT_MEMORY_LOCK": "prefer"}, memlock=65536).run()
    result.succeeded("installed", "memory_unlocked")


# ---- how they are handed on


@pytest.fixture
def registry(tmp_path, up):
    """A registry on loopback: where it is."""
    config = tmp_path / "registry.yml"

    def launch(port):
        storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
        config.write_text(
            json.dumps({"version": 0.1, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}})
        )
        return Process(["docker-registry", "serve", config], tmp_path / "registry.log")

    process, port = start_on(None, launch)
    up(process)
    return f"127.0.0.1:{port}/mtls-agent"


def apart(*command):
    """Runs it where what containers' tools keep under /var/lib is not the machine's."""
    script = 'mount -t tmpfs none /var/lib && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *map(str, command)], stdout=subprocess.PIPE
    )
    assert done.returncode == 0
    return done.stdout.decode()


def test_pushed_by_digest_and_copied_from(registry, tmp_path, make, volume, pair):
    """The README's way into somebody's own image, by a registry."""
    index = json.loads((IMAGES / "index.json").read_text())["manifests"][0]
    pushed = tmp_path / "digest"
    skopeo_push = ["skopeo", "--insecure-policy", "copy", "-q", "--all", "--dest-tls-verify=false"]
    apart(*skopeo_push, "--digestfile", pushed, f"oci:{IMAGES}:nonroot", f"docker://{registry}:0.1.0")
    assert pushed.read_text() == index["digest"]

    (tmp_path / "Dockerfile").write_text(
        f"FROM scratch\nCOPY --from={registry}@{index['digest']} /mtls-agent /usr/bin/mtls-agent\n"
        'USER 10001:10001\nENTRYPOINT ["/usr/bin/mtls-agent"]\nCMD ["fetch"]\n'
    )
    store = ["--root", tmp_path / "store", "--runroot", tmp_path / "run", "--storage-driver", "vfs"]
    build = [
        "bud",
        "--isolation",
        "chroot",
        "--tls-verify=false",
        "-t",
        "app",
        "-f",
        tmp_path / "Dockerfile",
        tmp_path,
    ]
    apart("buildah", *store, *build)
    apart("buildah", *store, "push", "-q", "app", f"oci:{tmp_path / 'app'}:1")

    bundle = unpack(f"{tmp_path / 'app'}:1", tmp_path)
    program = bundle / "rootfs/usr/bin/mtls-agent"
    assert program.read_bytes() == (ROOT / "build" / platform.machine() / "mtls-agent").read_bytes()
    make(bundle, volume).run().succeeded("installed")
    assert (volume / "client.key").read_text() == pair.key
