# SPDX-License-Identifier: Apache-2.0
"""mtls-agent inspect: what stands in an installed set, a file or a document, and all that is wrong with it."""

import json
import random
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import PROGRAM, snapshot
from servers.pki import DAY, Authority, Pair, document, key_pem, new_key, openssl


def run(agent, *arguments, text=""):
    """Standard output and standard error are the result's; text is standard input."""
    done = subprocess.run(
        [str(PROGRAM), "inspect", "--log-format=json", *map(str, arguments)],
        env=agent.environment,
        input=text,
        text=True,
        capture_output=True,
        timeout=60,
    )
    return done


def look(agent, value, *arguments):
    """What --json says of a document: exit status and the one object."""
    done = run(agent, "-", "--json", *arguments, text=value)
    (inspected,) = json.loads(done.stdout)
    assert done.returncode == (0 if inspected["good"] else 1)
    return inspected


def findings(inspected, level="problem"):
    return [each["text"] for each in inspected["findings"] if each["level"] == level]


def test_the_installed_set(agent, put, good, pair, authority):
    agent.fetch(put(good)).succeeded("installed")
    before = snapshot(agent.dir)
    done = run(agent, f"--dir={agent.dir}")
    assert done.returncode == 0, done.stderr
    assert snapshot(agent.dir) == before
    certificate = pair.certificate
    for text in (
        f"{agent.dir}: good",
        "subject    CN=ECS-Client\n",
        "issuer     CN=Enclave-CA\n",
        f"{certificate.serial_number:X}\n",
        " days left\n",
        "key        EC P-256",
        "signature  ECDSA with SHA-256",
        f"sha256     {certificate.fingerprint(SHA256()).hex()}",
        f"sha256     {authority.certificate.fingerprint(SHA256()).hex()}",
        "chain\n  CN=Enclave-CA (ca_cert)\n  └─ CN=ECS-Client (client_cert)\n",
        "of the certificate",
    ):
        assert text in done.stdout, done.stdout
    assert "findings" not in done.stdout


def test_facts_are_openssls(agent, tmp_path, authority):
    """Subject, issuer, serial number, names, dates and digest, as openssl reads them."""
    names = ["web.example", "*.web.example", "10.0.0.7", "2001:db8::7"]
    server = authority.issue("Web", "rsa2048", names=names)
    (tmp_path / "web.crt").write_text(server.cert)
    done = run(agent, tmp_path / "web.crt", "--json")
    ((shown,),) = (each["certificates"] for each in json.loads(done.stdout))
    facts = openssl(
        *["x509", "-in", "web.crt", "-noout", "-nameopt", "RFC2253", "-dateopt", "iso_8601"],
        *["-subject", "-issuer", "-serial", "-dates", "-fingerprint", "-sha256"],
        cwd=tmp_path,
    )
    facts = dict(line.split("=", 1) for line in facts.splitlines())
    assert shown["subject"] == facts["subject"] and shown["issuer"] == facts["issuer"]
    assert int(shown["serial"], 16) == int(facts["serial"], 16)
    assert shown["not_before"].replace("T", " ") == facts["notBefore"]
    assert shown["not_after"].replace("T", " ") == facts["notAfter"]
    assert shown["sha256"].upper() == next(
        value.replace(":", "") for name, value in facts.items() if name.lower() == "sha256 fingerprint"
    )
    kinds = ("DNS", "DNS", "IP", "IP")
    assert shown["names"] == [f"{kind}:{name}" for kind, name in zip(kinds, names)]
    assert shown["key"] == "RSA 2048" and shown["issued_by"] is None and not shown["ca"]


def test_no_private_value_is_shown(agent, tmp_path, put, good, pair):
    agent.fetch(put(good)).succeeded("installed")
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    secrets = [*pair.key.splitlines()[1:-1], f"{key.private_numbers().private_value:x}"]
    (tmp_path / "key").write_text(pair.key)
    for done in (
        run(agent, f"--dir={agent.dir}"),
        run(agent, f"--dir={agent.dir}", "--json"),
        run(agent, tmp_path / "key"),
        run(agent, "-", text=good),
        run(agent, "-", text=good.replace("client_key", "ca_cert_")),
        run(agent, "-", text=document(Pair(pair.key, pair.key), pair.key)),
    ):
        shown = (done.stdout + done.stderr).lower()
        assert shown and not any(secret.lower() in shown for secret in secrets)


def plain_server(directory):
    """As openssl x509 -req makes it, without any extension."""
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-subj", "/CN=localhost", "-out", "csr", cwd=directory)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "cakey", "-subj", "/CN=Enclave-CA", "-out", "ca", cwd=directory)
    openssl("x509", "-req", "-in", "csr", "-CA", "ca", "-CAkey", "cakey", "-CAcreateserial", "-out", "crt", cwd=directory)
    return "".join((directory / name).read_text() for name in ("crt", "key", "ca"))


@pytest.mark.parametrize(
    "usage, purpose, assumed",
    [
        (ExtendedKeyUsageOID.SERVER_AUTH, "server", False),
        (ExtendedKeyUsageOID.CLIENT_AUTH, "client", False),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, "client", True),
        (None, "client", True),
    ],
)
@pytest.mark.parametrize("parts", ["leaf, key and CA", "leaf and key", "leaf", "leaf and CA"])
def test_whose_a_bare_file_is(agent, tmp_path, authority, usage, purpose, assumed, parts):
    """By its extendedKeyUsage, as such it is judged, and told; what is assumed is told as well."""
    if usage:
        leaf = authority.issue("localhost", usage=usage, names=["localhost"])
        texts = leaf.cert, leaf.key, authority.pem
    else:
        text = plain_server(tmp_path)
        texts = [f"-----BEGIN {each}" for each in text.split("-----BEGIN ")[1:]]
    bare = "".join(text for text, part in zip(texts, ("leaf", "key", "CA")) if part in parts)
    done = run(agent, "-", "--json", text=bare)
    (told,) = json.loads(done.stdout)
    assert done.returncode == 0 and told["good"] and told["findings"] == []
    assert (told["purpose"], told["assumed"]) == (purpose, assumed)
    assert told["certificates"][0]["field"] == f"{purpose}_cert"
    shown = run(agent, "-", text=bare).stdout.splitlines()[1]
    assert shown.startswith(f"taken for a {purpose}'s, ") and ("nothing in it says" in shown) == assumed


def test_a_bare_file_of_a_servers_that_is_not_good(agent, authority):
    """It is judged as a server's: the same code as of a document that names its fields."""
    old = authority.issue("localhost", names=["localhost"], lifetime=(-3 * DAY, -DAY))
    bare = run(agent, "-", "--json", text=old.cert + old.key + authority.pem)
    named = run(agent, "-", "--json", text=json.dumps(
        {"server_cert": old.cert, "server_key": old.key, "ca_cert": authority.pem}))
    (one,), (other,) = json.loads(bare.stdout), json.loads(named.stdout)
    assert bare.returncode == named.returncode == 1 and one["code"] == "certificate_expired"
    assert one["findings"] == other["findings"] and (other["purpose"], other["assumed"]) == (None, False)


def test_files(agent, tmp_path, pair, authority):
    for name, text in {"crt": pair.cert, "ca": authority.pem, "key": pair.key}.items():
        (tmp_path / name).write_text(text)
        assert run(agent, tmp_path / name).returncode == 0
    (tmp_path / "both").write_text(pair.cert + pair.key)
    assert "of the certificate" in run(agent, tmp_path / "both").stdout


@pytest.mark.parametrize("text", ["", "hello", "{", '{"a": 1}', "-----BEGIN CERTIFICATE-----\nx"])
def test_what_cannot_be_read(agent, tmp_path, text):
    (tmp_path / "file").write_text(text)
    for done in (run(agent, tmp_path / "file"), run(agent, "-", text=text)):
        assert done.returncode == 1
        assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["error", "finished"]
    assert json.loads(run(agent, tmp_path / "file", "--json").stdout) == []


def test_no_file_and_no_set(agent, tmp_path):
    assert run(agent, tmp_path / "nothing").returncode == 1
    assert run(agent, tmp_path).returncode == 1
    assert run(agent, f"--dir={tmp_path}/nothing").returncode == 1


def test_sets_in_subdirectories(agent, put, good, authority):
    arns = [f"one={put(good)}", f"two={put(document(authority.issue('Two'), authority.pem))}"]
    agent.fetch(arns).succeeded()
    done = run(agent, f"--dir={agent.dir}", "--json", *(f"--secret={arn}" for arn in arns))
    sources = [(each["source"], each["certificates"][0]["subject"]) for each in json.loads(done.stdout)]
    assert sources == [(f"{agent.dir}/one", "CN=ECS-Client"), (f"{agent.dir}/two", "CN=Two")]


def test_of_two_twins_the_one_that_was_taken_is_shown(agent, authority):
    """An expired intermediate of the same name and key stands before it."""
    middle = Authority("Middle", parent=authority)
    expired = Authority("Middle", parent=authority, lifetime=(-2 * DAY, -DAY), key=middle.key)
    leaf = middle.issue("Leaf")
    inspected = look(agent, document(Pair(leaf.cert + expired.pem + middle.pem, leaf.key), authority.pem))
    assert inspected["good"] and inspected["code"] is None
    assert [each["issued_by"] for each in inspected["certificates"]] == [2, 3, 3, 3]
    (key,) = inspected["keys"]
    assert key["certificate"] == 0 and key["chain"] == "verified"
    texts = findings(inspected, "warning")
    assert any('"CN=Middle" expired at' in text for text in texts)
    assert '"CN=Middle" is not part of the chain' in texts


def test_the_code_of_fetch_is_shown(agent, authority):
    expired = document(authority.issue("Old", lifetime=(-3 * DAY, -DAY)), authority.pem)
    inspected = look(agent, expired)
    assert inspected["code"] == "certificate_expired" and len(findings(inspected)) == 1
    assert "standard input: not good: certificate_expired\n" in run(agent, "-", text=expired).stdout


# ---- what fetch would do


class Pieces:
    """Certificates that are easily taken for one another, and the keys that belong to some of them."""

    def __init__(self, authority):
        middle = Authority("Middle", parent=authority)
        namesake = Authority("Enclave-CA")
        leaf = middle.issue("Leaf")
        key = serialization.load_pem_private_key(leaf.key.encode(), None)
        old = (-3 * DAY, -DAY)
        own = Authority("Own", key=key)
        server = authority.issue("Web", names=["web.example"])
        self.certs = {
            "leaf": leaf.cert,
            "old": middle.issue("Leaf", lifetime=old, key=key).cert,
            "own": own.pem,
            "middle": middle.pem,
            "old middle": Authority("Middle", parent=authority, lifetime=old, key=middle.key).pem,
            "other middle": Authority("Middle", parent=authority).pem,
            "root": authority.pem,
            "namesake": namesake.pem,
            "weak": Authority("Weak", "rsa1024").pem,
            "server": server.cert,
            "foreign": namesake.issue("Leaf", key=key).cert,
        }
        self.keys = [leaf.key] * 8 + [server.key, key_pem(new_key("p256"))]

    def document(self, dice):
        """JSON or bare PEM, of a client, sometimes of a server."""
        leaves = dice.choice([["leaf"], ["leaf"], ["old", "leaf"], ["own", "leaf"], ["foreign"], ["server"]])
        chain = [*leaves, *dice.sample(["middle", "old middle", "other middle"], dice.choice([1, 2, 3]))]
        if dice.random() < 0.5:
            chain.append(dice.choice(list(self.certs)))
        if dice.random() < 0.3:
            dice.shuffle(chain)
        cas = dice.choice([["root"], ["root"], ["root", "weak"], ["namesake"], ["root", "namesake"], ["middle"], ["own"]])
        if dice.random() < 0.1:
            cas.append(dice.choice(list(self.certs)))
        cert, ca = ("".join(self.certs[name] for name in names) for names in (chain, cas))
        key = dice.choice(self.keys)
        if dice.random() < 0.15:
            return cert + key + ca
        fields = {"client_cert": cert, "client_key": key, "ca_cert": ca}
        if dice.random() < 0.1:
            fields = {"server_cert": cert, "server_key": key, "ca_cert": ca}
        if dice.random() < 0.05:
            del fields[dice.choice(list(fields))]
        return json.dumps(fields)


OPTIONS = [[], [], ["--client-chain=require"], ["--expect-subject=Leaf"], ["--expect-san=web.example"]]


@pytest.mark.parametrize("seed", range(2))
def test_its_verdict_is_fetchs(agent, tmp_path, put, authority, seed):
    """Of random documents; a unit test has thousands more."""
    pieces, dice, taken = Pieces(authority), random.Random(seed), 0
    for number in range(40):
        value, options = pieces.document(dice), dice.choice(OPTIONS)
        fetched = agent.fetch(put(value), *options, directory=tmp_path / f"{number}")
        looked = run(agent, "-", "--json", *options, text=value)
        if fetched.status and fetched.event("error")["code"] == "field_missing" and value[0] != "{":
            continue  # a part of an identity, by itself
        assert (fetched.status == 0) == (looked.returncode == 0), (number, fetched.stderr, looked.stdout)
        (inspected,) = json.loads(looked.stdout) or [None]
        if fetched.status and inspected:
            assert inspected["code"] == fetched.event("error")["code"], (number, looked.stdout)
        taken += fetched.status == 0
    assert 5 < taken < 35


# ---- what is wrong


def test_all_findings_are_listed(agent, authority):
    expired = authority.issue("Old", lifetime=(-3 * DAY, -DAY), usage=None, names=["server.example"])
    weak = Authority("Weak", "rsa1024")
    value = json.dumps(
        {
            "client_cert": expired.cert + authority.issue("Stranger").cert + expired.cert,
            "client_key": key_pem(new_key("p256")),
            "ca_cert": authority.pem + weak.pem,
        }
    )
    inspected = look(agent, value, "--expect-subject=CN=New")
    problems = "\n".join(findings(inspected))
    assert '"CN=Old" expired at ' in problems
    assert "no certificate in it has the public key of client_key (EC P-256)" in problems
    assert '"CN=New" is expected' in problems
    warnings = "\n".join(findings(inspected, "warning"))
    assert '"CN=Old" stands in it twice' in warnings
    assert '"CN=Stranger" is not part of the chain' in warnings
    assert "RSA 1024" in warnings


@pytest.mark.parametrize(
    "make,text",
    [
        (lambda a: document(a.issue("X", lifetime=(DAY, 2 * DAY)), a.pem), "is valid from"),
        (lambda a: document(a.issue("X", names=["x.example"]), a.pem), "extendedKeyUsage"),
        (lambda a: document(a.issue("X", "p521"), a.pem), "EC secp521r1"),
        (lambda a: document(Pair(a.issue("X").cert, ""), a.pem), "client_key is missing"),
        (lambda a: document(Pair(a.issue("X").cert[:300], a.issue("X").key), a.pem), "is damaged"),
        (
            lambda a: document(
                Pair("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", a.issue("X").key),
                a.pem,
            ),
            "certificate 1 of 1: ",
        ),
    ],
    ids=["not yet", "usage", "curve", "missing", "damaged", "no certificate"],
)
def test_problems(agent, authority, make, text):
    inspected = look(agent, make(authority))
    assert text in "\n".join(findings(inspected)) and not inspected["good"]


def test_a_foreign_issuer(agent, rogue, authority):
    value = document(rogue, authority.pem)
    assert look(agent, value)["good"] and findings(look(agent, value), "warning")
    assert not look(agent, value, "--client-chain=require")["good"]
    namesake = document(Authority("Enclave-CA").issue("X"), authority.pem)
    assert "was not signed by" in findings(look(agent, namesake), "warning")[0]
    assert "was not signed by" in findings(look(agent, namesake, "--client-chain=require"))[0]


def test_an_anchor_that_has_expired_and_is_not_needed(agent, pair, authority):
    ended = Authority("Ended", lifetime=(-2 * DAY, -DAY))
    inspected = look(agent, document(pair, authority.pem + ended.pem))
    assert inspected["good"] and '"CN=Ended" expired at' in findings(inspected, "warning")[0]


def test_a_chain_is_drawn(agent, authority):
    middle = Authority("Middle", parent=authority)
    leaf = middle.issue("Leaf")
    value = document(Pair(middle.pem + leaf.cert, leaf.key), authority.pem)
    tree = "  CN=Enclave-CA (ca_cert)\n  └─ CN=Middle (client_cert)\n     └─ CN=Leaf (client_cert)\n"
    assert tree in run(agent, "-", text=value).stdout
    assert [each["issued_by"] for each in look(agent, value)["certificates"]] == [2, 0, 2]


def test_an_issuer_that_is_not_here(agent, tmp_path, pair):
    (tmp_path / "leaf").write_text(pair.cert)
    assert "  CN=Enclave-CA (not here)\n  └─ CN=ECS-Client" in run(agent, tmp_path / "leaf").stdout


def test_a_leaf_that_is_its_own_anchor(agent, tmp_path):
    openssl(
        *[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=Self",
        ],
        *["-keyout", "key", "-out", "cert", "-addext", "basicConstraints=critical,CA:false"],
        cwd=tmp_path,
    )
    cert, key = ((tmp_path / name).read_text() for name in ("cert", "key"))
    inspected = look(agent, document(Pair(cert, key), cert))
    assert inspected["good"] and inspected["findings"] == []


def test_expires_within(agent, pair, authority):
    """The leaf has 90 days, its CA 365."""
    value = document(pair, authority.pem)
    for within, ending in (("1d", 0), ("89d", 0), ("91d", 1), ("366d", 2)):
        inspected = look(agent, value, f"--expires-within={within}")
        assert len(findings(inspected)) == ending, within
    assert "days" in findings(look(agent, value, "--expires-within=91d"))[0]


def test_names_from_outside_cannot_forge_lines(agent, tmp_path):
    """Control bytes in a subject are escaped, in text and in JSON."""
    openssl(
        *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key"],
        *[
            "-out",
            "cert",
            "-utf8",
            "-subj",
            '/CN=a\n  valid forever\x1b[31mé"',
            "-addext",
            "subjectAltName=DNS:x",
        ],
        cwd=tmp_path,
    )
    done = run(agent, tmp_path / "cert")
    assert "\x1b" not in done.stdout and "\n  valid forever" not in done.stdout
    assert 'CN=a\\0A  valid forever\\1B[31m\\C3\\A9\\"' in done.stdout
    json.loads(run(agent, tmp_path / "cert", "--json").stdout)


def test_many_certificates_of_one_name(agent, tmp_path):
    """Work is bounded, however many candidates there are for an issuer."""
    ca = Authority("Same")
    others = "".join(Authority("Same").pem for _ in range(90))
    done = run(agent, "-", text=document(ca.issue("X"), others + ca.pem))
    assert done.returncode in (0, 1) and done.stdout


def test_operands(agent, tmp_path):
    assert agent.run("fetch", "x", "--secret=a").status == 64
    assert agent.run("probe", "-", "--endpoint=a:1").status == 64
    assert agent.run("inspect", "a", "b", "c").status == 64
