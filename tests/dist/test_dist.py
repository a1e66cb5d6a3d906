# SPDX-License-Identifier: Apache-2.0
"""What is handed on: whole, signed, and described by a bill of materials that agrees with what is built."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from agent import ROOT

VERSION = (ROOT / "VERSION").read_text().strip()
NAME = f"mtls-agent-{VERSION}"
DIST = ROOT / "build" / "dist" / NAME
EPOCH = str(int(DIST.stat().st_mtime))
PROGRAMS = {"mtls-agent-x86_64": "X86-64", "mtls-agent-aarch64": "AArch64"}
ARCHIVES = {f"{NAME}-x86_64.tar.gz": "mtls-agent-x86_64", f"{NAME}-aarch64.tar.gz": "mtls-agent-aarch64"}
MOST = dict(line.split() for line in (ROOT / "tools/size-limit").read_text().splitlines())
SIGN_AS = "release@example.com"


def run(*command, **options):
    return subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def files(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


# ---- what is in it


@pytest.mark.parametrize("program,machine", PROGRAMS.items())
def test_a_program_of_each_architecture(program, machine):
    """Static, position-independent, stripped, small, and without a word about the machine that built it."""
    told = run(
        "readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--sections", DIST / program
    ).stdout
    assert re.search(rf"Machine: .*{machine}", told) and re.search(r"Type: *DYN", told)
    assert not re.search(r"INTERP|\(NEEDED\)|\(TEXTREL\)|\.symtab|\.debug_", told)
    assert "GNU_RELRO" in told and not re.search(r"GNU_STACK.* RWE ", told)
    data = (DIST / program).read_bytes()
    assert len(data) <= int(MOST[program.removeprefix("mtls-agent-")])
    for folder in ROOT, os.path.expanduser("~"):
        assert f"{folder}/".encode() not in data


def test_what_goes_with_them():
    names = set(files(DIST))
    assert {*PROGRAMS, "LICENSE", "THIRD-PARTY-LICENCES", "SHA256SUMS", f"{NAME}.cdx.json"} <= names
    assert {"platform/man/mtls-agent.1", "platform/man/mtls-agent.conf.5", "platform/completions/mtls-agent.bash"} <= names
    assert {name for name in names if "/" not in name and name.endswith(".tar.gz")} == set(ARCHIVES)
    there = set(run("git", "ls-files", "platform", cwd=ROOT).stdout.split())
    assert {name for name in names if name.startswith("platform/")} == there
    notices = (DIST / "THIRD-PARTY-LICENCES").read_text()
    for holder in "Rich Felker", "Thomas Pornin", "Daniel Stenberg", "Serge A. Zaitsev":
        assert holder in notices


def test_the_tarball_holds_the_same():
    with tarfile.open(DIST.with_name(f"{NAME}.tar.gz")) as tar:
        members = [each for each in tar]
        held = {each.name: tar.extractfile(each).read() for each in members if each.isfile()}
    assert held == {f"{NAME}/{name}": path.read_bytes() for name, path in files(DIST).items()}
    assert {(each.uid, each.gid, each.uname, each.gname) for each in members} == {(0, 0, "", "")}
    assert len({each.mtime for each in members}) == 1


@pytest.mark.parametrize("archive,program", ARCHIVES.items())
def test_what_a_host_unpacks(archive, program):
    with tarfile.open(DIST / archive) as tar:
        held = {each.name: each for each in tar if not each.isdir()}
        agent = tar.extractfile("usr/local/bin/mtls-agent").read()
    assert agent == (DIST / program).read_bytes() and held["usr/local/bin/mtls-agent"].mode == 0o755
    wanted = "lib/systemd/system/mtls-agent.service share/man/man1/mtls-agent.1 share/man/man5/mtls-agent.conf.5"
    wanted += " share/bash-completion/completions/mtls-agent share/zsh/site-functions/_mtls-agent"
    wanted += " share/fish/vendor_completions.d/mtls-agent.fish"
    assert {f"usr/local/{name}" for name in wanted.split()} <= set(held)
    assert {(each.uid, each.gid) for each in held.values()} == {(0, 0)}
    assert {each.mtime for each in held.values()} == {0}  # so it is the archive that `make host-archive` makes alone


# ---- checksums and signature


@pytest.fixture
def key(tmp_path):
    """key(name) makes a key; returns it and a file of who may sign."""

    def make(name):
        path = tmp_path / name
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path, check=True)
        allowed = tmp_path / f"{name}.allowed"
        allowed.write_text(f'{SIGN_AS} namespaces="mtls-agent" {path.with_suffix(".pub").read_text()}')
        return path, allowed

    return make


@pytest.fixture
def signed(tmp_path, key):
    """What `make dist DIST_KEY=KEY` leaves, and who may sign."""
    path, allowed = key("release")
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "DIST_KEY": path}
    run(ROOT / "tools/dist", ROOT / "build/dist-root", tmp_path / "dist", cwd=ROOT, env=env, check=True)
    return tmp_path / "dist" / NAME, allowed


def verify(folder, allowed):
    """As docs/building.md has it."""
    with open(folder / "SHA256SUMS", "rb") as sums:
        command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", SIGN_AS, "-n", "mtls-agent"]
        good = run(*command, "-s", folder / "SHA256SUMS.sig", stdin=sums)
    return (
        good.returncode == 0
        and run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=folder).returncode == 0
    )


def test_checksums_of_every_file():
    assert run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=DIST).returncode == 0
    named = {line.split(None, 1)[1] for line in (DIST / "SHA256SUMS").read_text().splitlines()}
    assert named == set(files(DIST)) - {"SHA256SUMS", "SHA256SUMS.sig"}


def test_a_signature_is_verified(signed):
    folder, allowed = signed
    assert verify(folder, allowed)
    unsigned = {name: path.read_bytes() for name, path in files(DIST).items()}
    assert {
        name: path.read_bytes() for name, path in files(folder).items() if name != "SHA256SUMS.sig"
    } == unsigned


@pytest.mark.parametrize("name", ["mtls-agent-x86_64", "SHA256SUMS", "SHA256SUMS.sig"])
def test_what_was_tampered_with_is_not(signed, name):
    folder, allowed = signed
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert not verify(folder, allowed)


def test_nor_what_somebody_else_has_signed(signed, key):
    folder, _ = signed
    assert not verify(folder, key("stranger")[1])


# ---- the bill of materials


@pytest.fixture(scope="module")
def bom():
    return json.loads((DIST / f"{NAME}.cdx.json").read_text())


def test_it_is_cyclonedx():
    text = (DIST / f"{NAME}.cdx.json").read_text()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"library"', '"libary"'))


def test_it_names_the_programs(bom):
    told = {each["name"]: each["hashes"][0]["content"] for each in bom["metadata"]["component"]["components"]}
    assert told == {name: hashlib.sha256((DIST / name).read_bytes()).hexdigest() for name in PROGRAMS}


def test_it_names_what_is_pinned(bom):
    """Each source that ships, with the files that it was built from; cmocka does not."""
    pins = (ROOT / "third_party/pins").read_text()
    told = {each["name"]: each for each in bom["components"]}
    assert set(told) - {"libgcc"} == set(re.findall(r"^source (\S+)", pins, re.M)) - {"cmocka"}
    for each in told.values():
        assert each["licenses"] and each["purl"].startswith("pkg:")
        for source in each.get("externalReferences", ()):
            assert source["hashes"][0]["content"] in pins
    ours = {path.name for path in (ROOT / "third_party/patches").glob("*/*.patch")}
    named = {
        patch["diff"]["url"]
        for each in told.values()
        for patch in each.get("pedigree", {}).get("patches", ())
    }
    assert ours == {url.rsplit("/", 1)[1] for url in named if url.startswith("third_party/")}


def test_it_tells_the_state_of_every_vulnerability(bom):
    table = (ROOT / "third_party/CVES.md").read_text()
    rows = dict(re.findall(r"^\| \S+ \| (CVE-\S+) \| [^|]+ \| ([^|]+) \|$", table, re.M))
    told = {each["id"]: each["analysis"] for each in bom["vulnerabilities"]}
    assert {name: each["detail"] for name, each in told.items()} == rows
    said = {
        "patched": ("resolved_with_pedigree", None),
        "not built in": ("not_affected", "code_not_present"),
        "not affected": ("not_affected", "code_not_present"),
        "does not apply": ("not_affected", "code_not_reachable"),
    }
    for name, each in told.items():
        state = next(state for words, state in said.items() if rows[name].startswith(words))
        assert (each["state"], each.get("justification")) == state, name


@pytest.mark.parametrize(
    "before,after,reason",
    [
        ("CVE-2026-3784.patch (Debian)", "CVE-2026-9999.patch (Debian)", "no such patch is applied"),
        ("not built in (HTTP/3)", "probably harmless", "no state begins as"),
    ],
)
def test_it_cannot_claim_what_is_not_so(tmp_path, before, after, reason):
    for part in "third_party", "tools":
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "VERSION", tmp_path)
    table = tmp_path / "third_party/CVES.md"
    assert before in table.read_text()
    table.write_text(table.read_text().replace(before, after))
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    done = run(tmp_path / "tools/sbom", DIST / "mtls-agent-x86_64", env=env)
    assert done.returncode == 1 and reason in done.stdout


@pytest.mark.parametrize(
    "before,after,reason",
    [
        ("| `regcomp` |", "| `regcomp` `memcpy` |", "memcpy is in the program"),
        ("`Curl_cft_nghttp2`", "`Curl_cft_nghttp9`", "is nowhere in the libraries' source"),
        ("`CURLOPT_INTERFACE`", "`CURLOPT_URL`", "CURLOPT_URL is in the program"),
        ("not built in (HTTP/3)", "not built in (HTTP/4)", '"HTTP/4" is not in the table'),
        ("not built in (HTTP/3)", "not built in", '"" is not in the table'),
        ("Read to: ", "Read until ", "to which date they were read"),
    ],
)
def test_nor_that_something_is_not_built_in_which_is(tmp_path, before, after, reason):
    for part in "third_party", "tools":
        shutil.copytree(ROOT / part, tmp_path / part)
    table = tmp_path / "third_party/CVES.md"
    assert before in table.read_text()
    table.write_text(table.read_text().replace(before, after))
    done = run(tmp_path / "tools/check-cves", ROOT / "build/x86_64/mtls-agent.debug")
    assert done.returncode == 1 and reason in done.stdout


def test_what_is_known_is_read_anew():
    """A release is refused where a list was read too long ago."""
    assert run(ROOT / "tools/check-cves", "--fresh", "100000").returncode == 0
    done = run(ROOT / "tools/check-cves", "--fresh", "-1")
    assert done.returncode == 1 and "was read to" in done.stdout


# ---- the same from another checkout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another checkout, with what is not committed yet, in a folder of another length."""
    folder = tmp_path_factory.mktemp("checkout") / "a-folder-whose-name-is-rather-longer" / "mtls-agent"
    run("git", "clone", "-q", "--shared", ROOT, folder, check=True)
    changed = run(
        "git", "ls-files", "-z", "--modified", "--others", "--exclude-standard", cwd=ROOT, check=True
    )
    for name in filter(None, changed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        else:
            (folder / name).unlink()
    return folder


def test_another_checkout_gives_the_same_bytes(elsewhere, tmp_path):
    """DIST_FROM_SCRATCH=1: third-party libraries are built anew as well, in another cache."""
    make = ["make", "-j2", *(f"{name}={os.environ[name]}" for name in ("SOURCES",) if name in os.environ)]
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "DIST_KEY"))
    }
    if os.environ.get("DIST_FROM_SCRATCH"):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        env |= {"XDG_CACHE_HOME": str(tmp_path), "SOURCES": f"{cache}/mtls-agent/sources"}
    built = run(*make, "dist", "images", cwd=elsewhere, env=env)
    assert built.returncode == 0, built.stdout[-4000:]
    for kind in "dist", "images":
        here, there = (files(folder / "build" / kind) for folder in (ROOT, elsewhere))
        assert set(there) == {name for name in here if not name.endswith("SHA256SUMS.sig")}
        assert not [name for name in there if there[name].read_bytes() != here[name].read_bytes()]
