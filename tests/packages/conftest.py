# SPDX-License-Identifier: Apache-2.0
"""The hosts of tests/hosts, of two Debians; packages of now, of an earlier version, and signed by keys of the test's."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import ROOT

# The hooks and fixtures of the other conftest.py are ours as well.
_spec = importlib.util.spec_from_file_location("hosts_conftest", ROOT / "tests" / "hosts" / "conftest.py")
_hosts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_hosts)
globals().update({name: value for name, value in vars(_hosts).items() if not name.startswith("_")})

PACKAGES = ROOT / "build" / "packages"
STAGED = ROOT / "build" / "packages-root"
VERSION = (ROOT / "VERSION").read_text().strip()
DIST = ROOT / "build" / "dist" / f"mtls-agent-{VERSION}"
EPOCH = str(int(DIST.stat().st_mtime)) if DIST.exists() else "0"
EARLIER = "0.0.9"
INSIDE = "systemd,systemd-sysv,dbus,procps,logrotate,apt,rpm,dnf,man-db,bash-completion"


def run(*command, check=True, **options):
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    assert done.returncode == 0 or not check, f"{command}: exit {done.returncode}\n{done.stdout}"
    return done


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def debian(request):
    """A release, with the tools that install packages, and the documentation that others leave out."""
    make = [ROOT / "tools" / "make-root", INSIDE]
    made = subprocess.run(make, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "SUITE": request.param})
    return Path(made.stdout.strip())


# Debian 12's does not install without being told to, and Debian 13's does not know that.
RPM = ("sh", "-c", 'exec rpm $(rpm --help | grep -o -m 1 -- --force-debian) "$@"', "rpm")


@pytest.fixture
def machine(host, shell):
    """One that is off, on which dpkg installs documentation, and rpm knows of a shell."""
    for excludes in host.machine.path("/etc/dpkg/dpkg.cfg.d").iterdir():
        excludes.unlink()
    shutil.copy(shell, host.machine.path("/root/shell.rpm"))
    host.machine.run(*RPM, "--install", "/root/shell.rpm")
    return host.machine


@pytest.fixture(scope="session")
def make_packages():
    """make_packages(FOLDER, VERSION, **ENVIRONMENT): as `make packages` does, of what that has staged."""

    def make(folder, version=VERSION, **environment):
        env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **environment}
        run(ROOT / "tools/packages", STAGED, DIST, folder, version, env=env)
        return folder

    return make


SHELL = """\
Name: shell
Version: 1
Release: 1
Summary: What rpm does not know that Debian has
License: Apache-2.0
BuildArch: noarch
Provides: /bin/sh
%description
Nothing.
%files
"""


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """A package for rpm that stands for what dpkg has installed."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "shell.spec").write_text(SHELL)
    run("rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder}", folder / "shell.spec")
    return next(folder.rglob("*.rpm"))


@pytest.fixture(scope="session")
def earlier(tmp_path_factory, make_packages):
    """Packages of an earlier version: the same program by another name."""
    return make_packages(tmp_path_factory.mktemp("earlier") / "packages", EARLIER)


class Signer:
    """Throw-away keys, in a folder of their own."""

    def __init__(self, folder):
        self.home = folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.apk = folder / "apk.pem"
        run("openssl", "genrsa", "-out", self.apk, "2048")

    @property
    def env(self):
        return {**os.environ, "GNUPGHOME": str(self.home)}

    def key(self, name):
        """The fingerprint of a new one."""
        new = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", name, "rsa3072", "sign", "never"]
        run(*new, env=self.env)
        listed = run("gpg", "--batch", "--with-colons", "--list-keys", name, env=self.env).stdout
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def repositories(self, folder, keys, **environment):
        """Of a copy of this version's packages."""
        folder.mkdir()
        for path in PACKAGES.iterdir():
            if path.suffix in (".deb", ".rpm", ".apk"):
                shutil.copy(path, folder)
        env = {**self.env, "SOURCE_DATE_EPOCH": EPOCH, "PACKAGES_KEY": keys, "APK_KEY": str(self.apk), **environment}
        run(ROOT / "tools/repositories", folder, env=env)
        return folder

    def stop(self):
        run("gpgconf", "--kill", "all", env=self.env, check=False)


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    # A socket's name has to be short.
    made = Signer(tmp_path_factory.mktemp("keys"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def signed(tmp_path_factory, signer):
    """Repositories by one key."""
    folder = signer.repositories(tmp_path_factory.mktemp("signed") / "packages", signer.key("release"))
    return SimpleNamespace(folder=folder, signer=signer)
