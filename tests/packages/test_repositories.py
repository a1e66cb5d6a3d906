# SPDX-License-Identifier: Apache-2.0
"""What apt, dnf and apk read: by apt and dnf themselves in a Debian; what was forged, exchanged or is too old is refused."""

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
import tarfile

import pytest

from conftest import EARLIER, EPOCH, PACKAGES, VERSION, run
from test_packages import parts

DAY_S = 86400
SOURCES = """\
Types: deb
URIs: file:/srv/packages/apt
Suites: stable
Components: main
Signed-By: /usr/share/keyrings/mtls-agent.pgp
"""
REPO = """\
[mtls-agent]
name=mtls-agent
baseurl=file:///srv/packages/yum/$basearch
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///srv/packages/keys/mtls-agent.asc
"""


@pytest.fixture
def serve(machine):
    """serve(FOLDER): repositories as a host sees them that is on."""
    machine.boot()

    def put(folder):
        place = machine.path("/srv/packages")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place)
        run("chmod", "-R", "a+rX", place)
        return place

    return put


# ---- apt


class Apt:
    def __init__(self, machine, keyring):
        self.machine = machine
        machine.write("/etc/apt/sources.list", "")
        machine.write("/etc/apt/sources.list.d/mtls-agent.sources", SOURCES)
        shutil.copy(keyring, machine.path("/usr/share/keyrings/mtls-agent.pgp"))

    def update(self):
        """What it says where it refuses; nothing where it is content."""
        done = self.machine.run("apt-get", "--error-on=any", "update", check=False)
        return done.stdout if done.returncode else ""

    def install(self):
        return self.machine.run("apt-get", "install", "-y", "mtls-agent", check=False)


def test_apt(machine, serve, signed):
    serve(signed.folder)
    apt = Apt(machine, signed.folder / "keys/mtls-agent.pgp")
    assert apt.update() == ""
    assert apt.install().returncode == 0
    assert machine.run("mtls-agent", "version").startswith(f"mtls-agent {VERSION}")
    assert "file:/srv/packages/apt stable/main amd64" in machine.run("apt-cache", "policy", "mtls-agent")


def test_apt_keeps_earlier_versions_on_offer(machine, serve, signer, earlier, tmp_path):
    folder = signer.repositories(tmp_path / "packages", signer.key("several"), PACKAGES_EARLIER=str(earlier))
    serve(folder)
    apt = Apt(machine, folder / "keys/mtls-agent.pgp")
    assert apt.update() == ""
    machine.run("apt-get", "install", "-y", f"mtls-agent={EARLIER}-1")
    machine.run("apt-get", "upgrade", "-y")
    assert f"Version: {VERSION}-1" in machine.run("dpkg", "--status", "mtls-agent")


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name,reason",
    [
        ("dists/stable/InRelease", "BADSIG|signed|bad|invalid"),
        ("dists/stable/main/binary-amd64/Packages.gz", "Hash Sum mismatch|unexpected size"),
    ],
)
def test_apt_refuses_what_was_changed(machine, serve, signed, name, reason):
    place = serve(signed.folder) / "apt"
    (place / "dists/stable/Release").unlink()
    (place / "dists/stable/main/binary-amd64/Packages").unlink()
    path = place / name
    if path.name == "InRelease":
        path.write_text(path.read_text().replace("Label: mtls-agent", "Label: mtls-agenz"))
    else:
        flipped(path)
    told = Apt(machine, signed.folder / "keys/mtls-agent.pgp").update()
    assert re.search(reason, told), told


def test_apt_refuses_a_package_that_was_changed(machine, serve, signed):
    place = serve(signed.folder)
    apt = Apt(machine, signed.folder / "keys/mtls-agent.pgp")
    assert apt.update() == ""
    flipped(next((place / "apt/pool/main").glob("*_amd64.deb")))
    told = apt.install()
    assert told.returncode != 0 and "Hash Sum mismatch" in told.stdout
    assert not machine.path("/usr/bin/mtls-agent").exists()


def test_apt_refuses_a_stranger_and_who_does_not_sign(machine, serve, signed, signer, tmp_path):
    forged = signer.repositories(tmp_path / "forged", signer.key("stranger"))
    place = serve(forged)
    apt = Apt(machine, signed.folder / "keys/mtls-agent.pgp")
    assert re.search("NO_PUBKEY|Missing key|not signed", apt.update())
    assert apt.install().returncode != 0
    for name in ("InRelease", "Release.gpg"):
        (place / "apt/dists/stable" / name).unlink()
    assert "not signed" in apt.update()


@pytest.mark.parametrize("days,reason", [(-100, "is expired|expired since"), (2, "is not valid yet")])
def test_apt_refuses_another_time(machine, serve, signed, signer, tmp_path, days, reason):
    """Valid-Until: who serves an old state for good is found out."""
    date = {"INDEX_DATE": str(int(EPOCH) + days * DAY_S)}
    fingerprint = signer.key(f"time {days} {tmp_path}")
    folder = signer.repositories(tmp_path / "packages", fingerprint, **date)
    serve(folder)
    told = Apt(machine, folder / "keys/mtls-agent.pgp").update()
    assert re.search(reason, told), told


def test_a_rotation_of_keys(machine, serve, signer, tmp_path):
    """For one period both sign, and both are in the keyring: who has the old one, the new one or both is content."""
    old, new = signer.key(f"old {tmp_path}"), signer.key(f"new {tmp_path}")
    announced = signer.repositories(tmp_path / "announced", old, PACKAGES_NEXT=new)
    both = signer.repositories(tmp_path / "both", f"{old} {new}")
    after = signer.repositories(tmp_path / "after", new)
    keyring = tmp_path / "old.pgp"
    keyring.write_bytes(subprocess.run(["gpg", "--export", old], env=signer.env, stdout=subprocess.PIPE, check=True).stdout)
    serve(both)
    for each in keyring, announced / "keys/mtls-agent.pgp", both / "keys/mtls-agent.pgp", after / "keys/mtls-agent.pgp":
        assert Apt(machine, each).update() == "", each
    serve(after)
    assert Apt(machine, keyring).update() != ""
    assert Apt(machine, announced / "keys/mtls-agent.pgp").update() == ""
    assert (announced / "keys/mtls-agent.asc").read_text().count("BEGIN PGP PUBLIC KEY") == 2


# ---- dnf


class Dnf:
    def __init__(self, machine):
        self.machine = machine
        machine.write("/etc/yum.repos.d/mtls-agent.repo", REPO)

    def install(self):
        return self.machine.run("dnf", "--assumeyes", "--releasever=1", "install", "mtls-agent", check=False)


def test_dnf(machine, serve, signed):
    place = serve(signed.folder)
    done = Dnf(machine).install()
    assert done.returncode == 0, done.stdout
    assert machine.run("mtls-agent", "version").startswith(f"mtls-agent {VERSION}")
    machine.run("rpm", "--import", "/srv/packages/keys/mtls-agent.asc")
    name = next(place.glob("*.x86_64.rpm")).name
    assert "digests signatures OK" in machine.run("rpm", "--checksig", f"/srv/packages/{name}")


def test_dnf_while_keys_rotate(machine, serve, signer, tmp_path):
    """Its index carries two signatures; rpm files one, of the first key. So a host that has that one alone is content."""
    old, new = signer.key(f"old dnf {tmp_path}"), signer.key(f"new dnf {tmp_path}")
    place = serve(signer.repositories(tmp_path / "both", f"{new} {old}"))
    exported = subprocess.run(["gpg", "--armor", "--export", new], env=signer.env, stdout=subprocess.PIPE, check=True)
    (place / "keys/mtls-agent.asc").write_bytes(exported.stdout)
    done = Dnf(machine).install()
    assert done.returncode == 0, done.stdout


def test_dnf_refuses_a_changed_index(machine, serve, signed):
    index = serve(signed.folder) / "yum/x86_64/repodata/repomd.xml"
    index.write_text(index.read_text().replace("<revision>", "<revision>1"))
    assert Dnf(machine).install().returncode != 0
    assert not machine.path("/usr/bin/mtls-agent").exists()


def test_dnf_refuses_a_package_that_is_not_signed(machine, serve, signed, signer):
    """In an index that is."""
    yum = serve(signed.folder) / "yum/x86_64"
    shutil.copy(PACKAGES / f"mtls-agent-{VERSION}-1.x86_64.rpm", yum)
    run("createrepo_c", "--quiet", "--no-database", yum)
    sign = ["gpg", "--batch", "--yes", "--armor", "--local-user", "release", "--detach-sign"]
    run(*sign, yum / "repodata/repomd.xml", env=signer.env)
    told = Dnf(machine).install()
    assert told.returncode != 0 and re.search("not signed", told.stdout), told.stdout
    assert not machine.path("/usr/bin/mtls-agent").exists()


# ---- apk


def signature(path, keys, folder):
    """Who signed the second part, and whether that is so, as openssl judges it."""
    (_, named), (second, _), *_ = parts(path.read_bytes())
    header = tarfile.TarInfo.frombuf(named[:512], "utf-8", "strict")
    (folder / "signature").write_bytes(named[512 : 512 + header.size])
    (folder / "second").write_bytes(second)
    key = keys / header.name.removeprefix(".SIGN.RSA256.")
    verify = ["openssl", "dgst", "-sha256", "-verify", key, "-signature", folder / "signature", folder / "second"]
    return run(*verify, check=False).returncode == 0


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_apk(signed, arch, tmp_path):
    folder, keys = signed.folder / "apk" / arch, signed.folder / "keys"
    (package,) = folder.glob("*.apk")
    index = folder / "APKINDEX.tar.gz"
    assert package.name == f"mtls-agent-{VERSION}-r0.apk"
    assert signature(package, keys, tmp_path) and signature(index, keys, tmp_path)
    with tarfile.open(fileobj=gzip.open(index)) as tar:
        text = tar.extractfile("APKINDEX").read().decode()
    fields = dict(line.split(":", 1) for line in text.strip().splitlines())
    control = list(parts(package.read_bytes()))[1][0]
    assert fields["C"] == "Q1" + base64.b64encode(hashlib.sha1(control).digest()).decode()
    assert [fields[name] for name in "PVA"] == ["mtls-agent", f"{VERSION}-r0", arch]
    assert int(fields["S"]) == package.stat().st_size
    for path in package, index:
        changed = tmp_path / path.name
        first, *rest = [compressed for compressed, _ in parts(path.read_bytes())]
        _, other, *_ = [compressed for compressed, _ in parts((package if path == index else index).read_bytes())]
        changed.write_bytes(b"".join([first, other, *rest[1:]]))
        assert not signature(changed, keys, tmp_path)
