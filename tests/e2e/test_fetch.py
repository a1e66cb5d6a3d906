# SPDX-License-Identifier: Apache-2.0
"""From a secret to files: what is installed, when it is left alone, and when it is made whole."""

import json
import os

import pytest
from cryptography.hazmat.primitives import serialization

from agent import snapshot
from servers.pki import Pair, as_version_1, document, key_pem

FILES = {"client.crt", "client.key", "ca.crt"}


def visible(directory):
    """What a listing shows: names without a leading dot."""
    return {path.name for path in directory.iterdir() if not path.name.startswith("..")}


def sets(directory):
    """The directories of installed sets."""
    return sorted(
        path.name
        for path in directory.iterdir()
        if path.is_dir() and not path.is_symlink() and path.name.startswith("..")
    )


def test_installs_a_set_from_nothing(agent, put, good, pair, authority):
    agent.fetch(put(good)).succeeded("secret", "identity", "installed")
    assert visible(agent.dir) == FILES
    assert agent.file("client.crt") == pair.cert
    assert agent.file("client.key") == pair.key
    assert agent.file("ca.crt") == authority.pem


def test_modes_are_tight(agent, put, good):
    agent.fetch(put(good)).succeeded()
    assert agent.mode("client.key") == 0o600
    assert agent.mode("client.crt") == agent.mode("ca.crt") == 0o644
    assert agent.mode(".") == 0o755


def test_modes_and_owner_as_told(agent, put, good):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    agent.fetch(
        put(good), "--owner=65534:65534", "--key-mode=0440", "--cert-mode=0444", "--dir-mode=0750"
    ).succeeded()
    assert (agent.mode("client.key"), agent.mode("client.crt"), agent.mode(".")) == (0o440, 0o444, 0o750)
    facts = (agent.dir / "client.key").stat()
    assert (facts.st_uid, facts.st_gid) == (65534, 65534)


def test_key_is_readable_for_a_named_group(agent, put, good):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    agent.fetch(put(good), "--owner=0:65534").succeeded()
    assert agent.mode("client.key") == 0o640


def test_links_lead_through_one_set(agent, put, good):
    """One rename changes all files at once."""
    agent.fetch(put(good)).succeeded()
    current = os.readlink(agent.dir / "..data")
    assert current.startswith("..") and "/" not in current
    for name in FILES:
        assert os.readlink(agent.dir / name) == f"..data/{name}"


def test_the_secret_by_its_name(agent, aws, names, good):
    name = next(names)
    aws.put(name, good)
    agent.fetch(name, env={"AWS_REGION": "eu-central-1"}).succeeded("installed")


def test_the_event_names_the_version(agent, aws, put, good):
    arn = put(good)
    secret = agent.fetch(arn).event("secret")
    assert secret["secret"] == arn
    assert (
        secret["version_id"] == aws.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"].popitem()[0]
    )


def test_second_run_changes_nothing(agent, put, good):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    before = snapshot(agent.dir)
    agent.fetch(arn).succeeded("unchanged")
    assert snapshot(agent.dir) == before


def test_rotation_installs_the_new_version_and_keeps_the_old_one_for_a_while(
    agent, aws, put, good, authority
):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    first = os.readlink(agent.dir / "..data")
    successor = authority.issue("ECS-Client")
    aws.rotate(arn, document(successor, authority.pem))
    agent.fetch(arn).succeeded("installed")
    assert (agent.file("client.crt"), agent.file("client.key")) == (successor.cert, successor.key)
    assert first in sets(agent.dir)


def test_previous_set_goes_at_once_when_told(agent, aws, put, good, authority):
    arn = put(good)
    agent.fetch(arn).succeeded()
    aws.rotate(arn, document(authority.issue("ECS-Client"), authority.pem))
    agent.fetch(arn, "--keep-previous=0s").succeeded()
    assert sets(agent.dir) == [os.readlink(agent.dir / "..data")]


@pytest.mark.parametrize("damage", ["content", "missing file", "mode", "dangling link"])
def test_damage_is_healed(agent, put, good, pair, damage):
    arn = put(good)
    agent.fetch(arn).succeeded("installed")
    key = agent.dir / "client.key"
    if damage == "content":
        key.resolve().write_text("x")
    elif damage == "missing file":
        key.resolve().unlink()
    elif damage == "mode":
        key.resolve().chmod(0o644)
    else:
        key.unlink()
        key.symlink_to("nowhere")
    agent.fetch(arn).succeeded("healed")
    assert agent.file("client.key") == pair.key
    assert agent.mode("client.key") == 0o600
    agent.fetch(arn).succeeded("unchanged")


def test_plain_files_are_adopted(agent, put, good, pair, rogue, authority):
    """Files that somebody copied there are taken over as the set before the first."""
    agent.dir.mkdir()
    for name, text in ("client.crt", rogue.cert), ("client.key", rogue.key), ("ca.crt", authority.pem):
        (agent.dir / name).write_text(text)
    agent.fetch(put(good)).succeeded("adopted")
    assert agent.file("client.crt") == pair.cert
    assert all((agent.dir / name).is_symlink() for name in FILES)
    assert any(
        (agent.dir / name / "client.key").read_text() == rogue.key
        for name in sets(agent.dir)
        if (agent.dir / name / "client.key").exists()
    )


def test_foreign_files_stay(agent, put, good):
    agent.dir.mkdir()
    (agent.dir / "README").write_text("mine")
    (agent.dir / "sub").mkdir()
    (agent.dir / ".hidden").write_text("mine too")
    agent.fetch(put(good)).succeeded("installed")
    assert (agent.dir / "README").read_text() == "mine"
    assert (agent.dir / ".hidden").read_text() == "mine too"
    assert (agent.dir / "sub").is_dir()


def test_an_existing_directory_keeps_its_mode(agent, put, good):
    agent.dir.mkdir(mode=0o711)
    agent.dir.chmod(0o711)
    agent.fetch(put(good)).succeeded("installed")
    assert agent.mode(".") == 0o711


def test_two_agents_at_once(agent, put, good, pair):
    arguments = agent.fetch_arguments(put(good))
    running = [agent.start(*arguments) for _ in range(4)]
    events = sorted(
        name
        for each in running
        for name in each.finish().succeeded().names()
        if name in ("installed", "unchanged", "healed")
    )
    assert events == ["installed", "unchanged", "unchanged", "unchanged"]
    assert agent.file("client.key") == pair.key
    assert len(sets(agent.dir)) == 1


def test_readers_never_see_a_mixed_set_through_one_directory(agent, aws, put, authority):
    """Who opens ..data once gets files of one set, however often the set changes meanwhile."""
    pairs = [authority.issue("ECS-Client") for _ in range(2)]
    keys = {each.cert: each.key for each in pairs}
    arn = put(document(pairs[0], authority.pem))
    agent.fetch(arn).succeeded()
    seen = set()
    for turn in range(6):
        aws.rotate(arn, document(pairs[(turn + 1) % 2], authority.pem))
        running = agent.start(*agent.fetch_arguments(arn))
        while running.child.poll() is None:
            at = os.open(agent.dir / "..data", os.O_RDONLY | os.O_DIRECTORY)
            cert, key = (
                open(os.open(name, os.O_RDONLY, dir_fd=at)).read() for name in ("client.crt", "client.key")
            )
            os.close(at)
            assert keys[cert] == key
            seen.add(cert)
        running.finish().succeeded()
    assert len(seen) == 2


def test_combined_file(agent, put, good, pair):
    agent.fetch(put(good), "--combined").succeeded("installed")
    assert agent.file("client.pem") == pair.key + pair.cert
    assert agent.mode("client.pem") == 0o600


def test_root_is_a_prefix(agent, tmp_path, put, good, pair):
    (tmp_path / "rootfs/run").mkdir(parents=True)
    agent.fetch(put(good), f"--root={tmp_path}/rootfs", directory="/run/mtls").succeeded("installed")
    assert (tmp_path / "rootfs/run/mtls/client.crt").read_text() == pair.cert


# ---- several secrets


def test_several_secrets_merge(agent, put, pair, authority):
    halves = [
        put(json.dumps({"client_cert": pair.cert, "ca_cert": authority.pem})),
        put(json.dumps({"client_key": pair.key})),
    ]
    agent.fetch(halves).succeeded("installed")
    assert visible(agent.dir) == FILES


def test_a_file_from_two_secrets_is_an_error(agent, put, good):
    error = agent.fetch([put(good), put(good)]).failed(65, "field_repeated")
    assert "client_cert" in error["reason"]
    assert snapshot(agent.dir) is None


def test_a_secret_in_a_subdirectory(agent, put, good, authority, pair):
    other = authority.issue("Other")
    result = agent.fetch([put(good), f"other={put(document(other, authority.pem))}"]).succeeded()
    assert {event["set"] for event in result.all("installed")} == {str(agent.dir), "other"}
    assert agent.file("client.crt") == pair.cert
    assert agent.file("other/client.crt") == other.cert


def test_one_bad_set_does_not_hold_up_the_other(agent, put, good):
    result = agent.fetch([f"good={put(good)}", f"bad={put('{}')}"])
    result.failed(65, "field_missing")
    assert (agent.dir / "good/client.key").exists()
    assert not (agent.dir / "bad").exists()


# ---- the document


def test_a_binary_secret(agent, put, good, pair):
    agent.fetch(put(good.encode())).succeeded("installed")
    assert agent.file("client.key") == pair.key


@pytest.mark.parametrize(
    "cert,key,ca",
    [
        ("cert", "key", "ca"),
        ("certificate", "private_key", "ca_certificate"),
        ("x509Svid", "x509SvidKey", "bundle"),
        ("tls.crt", "tls.key", "ca.crt"),
    ],
)
def test_other_names_of_the_fields(agent, put, pair, authority, cert, key, ca):
    agent.fetch(put(json.dumps({cert: pair.cert, key: pair.key, ca: authority.pem}))).succeeded("installed")
    assert agent.file("client.key") == pair.key
    assert agent.file("ca.crt") == authority.pem


def test_a_bare_pem_bundle(agent, put, pair, authority):
    agent.fetch(put(pair.key + pair.cert + authority.pem)).succeeded("installed")
    assert agent.file("client.crt") == pair.cert
    assert agent.file("ca.crt") == authority.pem


def test_a_server_identity(agent, put, authority):
    server = authority.issue("localhost", names=["localhost"])
    agent.fetch(
        put(json.dumps({"server_cert": server.cert, "server_key": server.key, "ca_cert": authority.pem}))
    ).succeeded()
    assert visible(agent.dir) == {"server.crt", "server.key", "ca.crt"}
    assert agent.mode("server.key") == 0o600


def test_files_are_canonical(agent, put, pair, authority):
    """CRLF, text around the blocks and a missing final newline are gone; the leaf stands first."""
    untidy = {
        "client_cert": "subject=me\r\n" + (authority.pem + pair.cert).replace("\n", "\r\n").rstrip(),
        "client_key": "\n\n" + pair.key.replace("\n", "\r\n"),
        "ca_cert": authority.pem.strip(),
        "comment": "ignored",
    }
    agent.fetch(put(json.dumps(untidy))).succeeded("installed")
    assert agent.file("client.crt") == pair.cert + authority.pem
    assert agent.file("client.key") == pair.key
    assert agent.file("ca.crt") == authority.pem


def test_the_identity_of_the_readme(agent, put, pki):
    """X.509 version 1 (where openssl still makes it so), RSA-4096, PKCS#8."""
    identity = (
        agent.fetch(put(document(pki.pair("client"), pki.ca_pem))).succeeded("installed").event("identity")
    )
    assert identity["subject"] == "CN=ECS-Client"
    assert identity["key"] == "RSA 4096"
    assert agent.file("client.key") == pki.pair("client").key


def test_a_version_1_certificate(agent, put, pair, authority, enclave):
    old = as_version_1(pair, authority)
    assert old.certificate.version.name == "v1"
    agent.fetch(put(document(old, authority.pem)), endpoint=enclave.endpoint).succeeded("installed")
    assert agent.file("client.crt") == old.cert


@pytest.mark.parametrize(
    "kind,text",
    [("p256", "EC P-256"), ("p384", "EC P-384"), ("rsa2048", "RSA 2048"), ("rsa3072", "RSA 3072")],
)
def test_kinds_of_keys(agent, put, authority, kind, text):
    result = agent.fetch(put(document(authority.issue("ECS-Client", kind), authority.pem)))
    assert result.succeeded("installed").event("identity")["key"] == text


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_forms_of_keys_become_pkcs8(agent, put, authority, kind, form):
    pair = authority.issue("ECS-Client", kind)
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    agent.fetch(put(document(Pair(pair.cert, key_pem(key, form)), authority.pem))).succeeded("installed")
    assert agent.file("client.key") == pair.key
