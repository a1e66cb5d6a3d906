# SPDX-License-Identifier: Apache-2.0
"""What is in the packages, as the tools of each kind read it; nothing is installed here."""

import hashlib
import io
import os
import re
import subprocess
import tarfile
import zlib

import pytest

from agent import ROOT
from conftest import DIST, EPOCH, PACKAGES, STAGED, VERSION, run

KINDS = {
    arch: [f"mtls-agent_{VERSION}-1_{debian}.deb", f"mtls-agent-{VERSION}-1.{arch}.rpm", f"mtls-agent-{VERSION}-r0.{arch}.apk"]
    for arch, debian in (("x86_64", "amd64"), ("aarch64", "arm64"))
}
EVERY = [(arch, name) for arch, names in KINDS.items() for name in names]
DOC = "usr/share/doc/mtls-agent"
OURS = {f"{DOC}/{name}" for name in ("changelog.gz", "examples/agent.conf", "mtls-agent.cdx.json")}
CONFIGURATION = ["/etc/logrotate.d/mtls-agent"]


def parts(data):
    """The tarballs of a package for apk, as they are compressed and as they are not."""
    while data:
        reader = zlib.decompressobj(wbits=31)
        content = reader.decompress(data)
        yield data[: len(data) - len(reader.unused_data)], content
        data = reader.unused_data


def notices(name):
    return "usr/share/licenses/mtls-agent/copyright" if name.endswith(".rpm") else f"{DOC}/copyright"


def contents(name, folder):
    """Unpacks a package; what lies there."""
    path = PACKAGES / name
    if path.suffix == ".deb":
        run("dpkg-deb", "--extract", path, folder)
    elif path.suffix == ".rpm":
        archive = subprocess.run(["rpm2cpio", path], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["cpio", "--quiet", "-idm"], input=archive, cwd=folder, check=True)
    else:
        data = list(parts(path.read_bytes()))[-1][1]
        tarfile.open(fileobj=io.BytesIO(data)).extractall(folder, filter="fully_trusted")
    return {str(each.relative_to(folder)): each for each in folder.rglob("*") if not each.is_dir()}


def staged(arch, name):
    """What `make install` has put there, by the name that a kind of package gives it."""
    names = {str(path.relative_to(STAGED / arch)) for path in (STAGED / arch).rglob("*") if not path.is_dir()}
    names = {f"{each}.gz" if each.startswith("usr/share/man/") else each for each in names}
    if name.endswith(".deb"):
        return {each.replace("zsh/site-functions", "zsh/vendor-completions") for each in names}
    if name.endswith(".apk"):
        return {each for each in names if not each.startswith(("usr/lib/", "usr/share/mtls-agent/"))}
    return names


@pytest.mark.parametrize("arch,name", EVERY)
def test_what_is_in_it(arch, name, tmp_path):
    """All that `make install` installs and what goes with a package, no more; and what is said of places is right."""
    found = contents(name, tmp_path)
    guide = set() if name.endswith(".apk") else {f"{DOC}/README.md"}
    assert set(found) == staged(arch, name) | OURS | guide | {notices(name)}
    assert found["usr/bin/mtls-agent"].read_bytes() == (ROOT / "build" / arch / "mtls-agent").read_bytes()
    assert found["usr/bin/mtls-agent"].stat().st_mode & 0o7777 == 0o755
    assert {path.stat().st_mode & 0o7777 for each, path in found.items() if each != "usr/bin/mtls-agent"} == {0o644}
    for each, path in found.items():
        assert each == "usr/bin/mtls-agent" or b"/usr/local/" not in path.read_bytes(), each
    assert (tmp_path / "etc/mtls-agent").is_dir()
    assert found[f"{DOC}/mtls-agent.cdx.json"].read_bytes() == (DIST / f"mtls-agent-{VERSION}.cdx.json").read_bytes()
    told = found[notices(name)].read_text()
    for holder in "Rich Felker", "Thomas Pornin", "Daniel Stenberg", "Serge A. Zaitsev", "Apache License":
        assert holder in told


def test_the_example_is_a_configuration(tmp_path):
    found = contents(KINDS["x86_64"][0], tmp_path)
    config = found[f"{DOC}/examples/agent.conf"]
    env = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    run(found["usr/bin/mtls-agent"], "check-config", "run", "--config", config, env=env)
    whole = tmp_path / "whole.conf"
    whole.write_text(re.sub(r"^#(?=[a-z])", "", config.read_text(), flags=re.M).replace("root:mtls", "root:root"))
    assert whole.read_text() != config.read_text()
    run(found["usr/bin/mtls-agent"], "check-config", "run", "--config", whole, env=env)


@pytest.mark.parametrize("arch,name", [each for each in EVERY if each[1].endswith(".deb")])
def test_deb(arch, name, tmp_path):
    path = PACKAGES / name
    assert run("dpkg-deb", "--field", path, "Version").stdout.strip() == f"{VERSION}-1"
    assert run("dpkg-deb", "--field", path, "Architecture").stdout.strip() == name.rsplit("_", 1)[1][:-4]
    assert run("dpkg-deb", "--field", path, "Depends", "Pre-Depends").stdout == ""
    run("dpkg-deb", "--control", path, tmp_path / "control")
    assert (tmp_path / "control/conffiles").read_text().split() == CONFIGURATION
    contents(name, tmp_path)
    run("md5sum", "--check", "--strict", "--quiet", "control/md5sums", cwd=tmp_path)
    listed = run("dpkg-deb", "--contents", path).stdout
    assert all(re.match(r"\S+ root/root ", line) for line in listed.splitlines())


# What Debian's own packages have to do, and others cannot or should not.
NOT_OURS = [
    "debian-changelog-file-missing",  # of packages that Debian's developers sign off
    "no-changelog",
    "malformed-contact",  # unless PACKAGES_MAINTAINER says who answers
    "copyright-file-contains-full-apache-2-license",  # the same file is in rpm and apk
    "copyright-not-using-common-license-for-apache2",
    "missing-depends-line",  # there is none: the program is static
    "statically-linked-binary",
    "shared-library-lacks-prerequisites",
    "embedded-library",  # libcurl: docs/building.md
    "maintainer-script-calls-systemctl",  # debhelper's snippets would enable and start; these do not
    "systemd-service-file-missing-install-key",
]


@pytest.mark.parametrize("arch,name", [each for each in EVERY if each[1].endswith(".deb")])
def test_lintian(arch, name):
    told = run(
        *("lintian", "--allow-root", "--no-cfg", "--fail-on", "error"),
        *("--suppress-tags", ",".join(NOT_OURS), PACKAGES / name),
        check=False,
    )
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("arch,name", [each for each in EVERY if each[1].endswith(".rpm")])
def test_rpm(arch, name, tmp_path):
    path = PACKAGES / name
    query = ["rpm", f"--dbpath={tmp_path}", "-qp"]
    assert "digests OK" in run("rpm", f"--dbpath={tmp_path}", "-K", "--nosignature", path).stdout
    assert run(*query, "--qf", "%{version}-%{release}.%{arch}", path).stdout == f"{VERSION}-1.{arch}"
    assert run(*query, "--configfiles", path).stdout.split() == CONFIGURATION
    flags = run(*query, "--qf", "[%{filenames}:%{fileflags:fflags}\n]", path).stdout
    assert flags.count(":cn\n") == 1 and f"/{notices(name)}:l\n" in flags
    needs = set(run(*query, "--requires", path).stdout.splitlines())
    assert {each.split("(")[0] for each in needs} <= {"/bin/sh", "rpmlib", "config"}
    assert set(run(*query, "--qf", "[%{fileusername}:%{filegroupname}\n]", path).stdout.split()) == {"root:root"}


@pytest.mark.parametrize("arch,name", [each for each in EVERY if each[1].endswith(".rpm")])
def test_rpmlint(arch, name):
    told = run("rpmlint", "--config", ROOT / "tests/packages/rpmlint.toml", PACKAGES / name, check=False)
    assert told.returncode == 0 and " 0 errors" in told.stdout, told.stdout


@pytest.mark.parametrize("arch,name", [each for each in EVERY if each[1].endswith(".apk")])
def test_apk(arch, name):
    """Two tarballs: what is known, which has no end so that the other one follows, and the files."""
    (control, known), (data, files) = parts((PACKAGES / name).read_bytes())
    tar = tarfile.open(fileobj=io.BytesIO(known))
    assert tar.getnames() == [".PKGINFO", ".pre-install"] and not known.endswith(b"\0" * 1024)
    info = dict(line.split(" = ", 1) for line in tar.extractfile(".PKGINFO").read().decode().splitlines())
    assert (info["pkgname"], info["pkgver"], info["arch"]) == ("mtls-agent", f"{VERSION}-r0", arch)
    assert info["datahash"] == hashlib.sha256(data).hexdigest() and files.endswith(b"\0" * 1024)
    tar = tarfile.open(fileobj=io.BytesIO(files))
    for each in tar:
        assert (each.uid, each.gid, each.uname, each.gname) == (0, 0, "root", "root")
        if each.isfile():
            digest = hashlib.sha1(tar.extractfile(each).read()).hexdigest()
            assert each.pax_headers == {"APK-TOOLS.checksum.SHA1": digest}


def test_the_same_bytes_again(tmp_path, make_packages):
    """Elsewhere, at another time, by somebody with another locale, umask and time zone."""
    previous = os.umask(0o077)
    try:
        other = {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path), "PACKAGES_MAINTAINER": ""}
        again = make_packages(tmp_path / "a folder", **other)
        env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **other}
        run(ROOT / "tools/repositories", again, env=env)
    finally:
        os.umask(previous)
    here, there = ({str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()} for top in (PACKAGES, again))
    assert set(here) == set(there) and len(here) > 20
    assert [name for name in here if here[name].read_bytes() != there[name].read_bytes()] == []


def test_checksums():
    run("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS", cwd=PACKAGES)
    named = {line.split(None, 1)[1] for line in (PACKAGES / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(PACKAGES)) for path in PACKAGES.rglob("*") if path.is_file()}
    assert named == {name for name in there if "SHA256SUMS" not in name}
