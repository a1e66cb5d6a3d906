# SPDX-License-Identifier: Apache-2.0
"""mtls-agent attest of documents in files: what is genuine, and each way in which one is not; exit 0 or 76."""

import base64
import datetime
import json
import os
import subprocess

import pytest

from agent import PROGRAM
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from servers.nitro import DEBUG, ES384, HOUR, IMAGE, ORDER, Hardware, Pairs, Raw, cbor, pcr_set, usage, utc

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a file of roots must be root's")
pytestmark = needs_root


@pytest.fixture(scope="module")
def hardware():
    return Hardware()


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """roots(hardware): a file that names its root."""
    folder = tmp_path_factory.mktemp("roots")

    def write(*believed):
        path = folder / f"roots-{len(list(folder.iterdir()))}"
        lines = ["# made-up roots", *(each.fingerprint for each in believed), ""]
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture(scope="module")
def root_file(roots, hardware):
    return roots(hardware)


@pytest.fixture
def attest(tmp_path):
    """attest(document, ...): what the program says of it."""

    def run(content, *arguments, stdin=False, env=None):
        path = tmp_path / "document"
        path.write_bytes(content)
        done = subprocess.run(
            [PROGRAM, "attest", "-" if stdin else path, "--log-format=json", "--json", *map(str, arguments)],
            input=content if stdin else b"",
            capture_output=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin", "AWS_EC2_METADATA_DISABLED": "true", **(env or {})},
        )
        events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
        if done.returncode in (64, 78):  # before the log has a form
            return done.returncode, done.stderr.decode(), events
        errors = [event for event in events if event["event"] == "error"]
        found = json.loads(done.stdout)[0] if done.stdout else {}
        assert len(errors) == (0 if done.returncode == 0 else 1), done.stderr
        if errors and done.returncode == 76:
            assert errors[0]["code"] == found["result"] and errors[0]["reason"] == found["reason"]
        return done.returncode, found, events

    return run


@pytest.fixture
def refused(attest, root_file):
    """Asserts that a document is refused for this cause, and returns the reason."""

    def check(content, code, *arguments):
        status, found, _ = attest(content, f"--attest-root={root_file}", *arguments)
        assert (status, found["result"]) == (76, code), found
        assert (found.get("root") or "") in found["reason"]  # it stands in a log by itself
        return found["reason"]

    return check


# ---- what is genuine


@pytest.mark.parametrize("indefinite", (False, True))
@pytest.mark.parametrize("tagged", (False, True))
def test_genuine(attest, hardware, root_file, indefinite, tagged):
    document = hardware.document(indefinite=indefinite, tagged=tagged, nonce=b"n" * 20, user_data=b"", public_key=None)
    status, found, _ = attest(document, f"--attest-root={root_file}")
    assert status == 0
    assert found["result"] == "genuine_other_root" and found["genuine"] and not found["debug"]
    assert found["root"] == hardware.fingerprint
    assert (found["nonce"], found["user_data"], found["public_key"]) == ((b"n" * 20).hex(), "", None)
    assert found["pcr0"] == IMAGE[0].hex() and found["pcr15"] == "00" * 48 and "pcr16" not in found
    assert not found["image_compared"] and found["binding"] is None


def forms(document):
    text = base64.b64encode(document).decode()
    wrapped = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    yield document
    yield document.hex().encode() + b"\n"
    yield document.hex().upper().encode()
    yield text.encode()
    yield b"  \r\n" + wrapped.encode() + b"\n"
    for name in ("attestation", "attestation_doc", "attestation_document", "document"):
        yield json.dumps({"other": 1, name: text}).encode()
        yield json.dumps({name: document.hex()}).encode()


def test_each_form(attest, hardware, root_file):
    for content in forms(hardware.document()):
        assert attest(content, f"--attest-root={root_file}")[0] == 0, content[:40]
    assert attest(next(forms(hardware.document())), f"--attest-root={root_file}", stdin=True)[0] == 0


@pytest.mark.parametrize("name", ["document", "./document", "link", "../here/document", "../there/document", "../there/link"])
def test_a_file_by_a_relative_path(tmp_path, hardware, root_file, name):
    """In the sandbox, too."""
    for folder in "here", "there":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "document").write_bytes(hardware.document())
    (tmp_path / "here/link").symlink_to("document")
    (tmp_path / "there/link").symlink_to("document")
    argv = [PROGRAM, "attest", name, f"--attest-root={root_file}"]
    done = subprocess.run(argv, cwd=tmp_path / "here", capture_output=True, text=True, env={"AWS_EC2_METADATA_DISABLED": "true"})
    assert done.returncode == 0, done.stderr


def test_a_member_of_another_name(attest, hardware, root_file, refused):
    content = json.dumps({"quote": hardware.document().hex()}).encode()
    refused(content, "attestation_malformed")
    assert attest(content, f"--attest-root={root_file}", "--attest-field=quote")[0] == 0


@pytest.mark.parametrize(
    "content", (b"", b"\x84", b"{", b"{}", b'{"attestation":1}', b'{"attestation":"00","attestation":"00"}', b"nothing", b"00")
)
def test_no_document(refused, content):
    refused(content, "attestation_malformed")


# ---- roots


def test_an_unknown_root(attest, hardware):
    status, found, _ = attest(hardware.document())
    assert (status, found["result"]) == (76, "attestation_untrusted")
    assert hardware.fingerprint in found["reason"]


def test_only_the_root_that_is_named(attest, hardware, roots):
    assert attest(hardware.document(), f"--attest-root={roots(Hardware(), hardware)}")[0] == 0
    assert attest(hardware.document(), f"--attest-root={roots(Hardware())}")[1]["result"] == "attestation_untrusted"


def test_a_root_that_only_has_the_name(refused, hardware):
    """The known root on top, and a chain from another one of the same name below."""
    other = Hardware()
    fields = other.fields() | {"cabundle": [hardware.root.der, other.region.der]}
    refused(cbor(other.sign(cbor(fields))), "attestation_untrusted")


def test_roots_are_not_taken_from_the_environment(attest, hardware, root_file):
    status, text, _ = attest(hardware.document(), env={"MTLS_AGENT_ATTEST_ROOT": str(root_file)})
    assert status == 78 and "cannot be set by a variable" in text


@pytest.mark.parametrize("text", ("", "# none\n", "00\n", "zz" * 32 + "\n", "ab" * 33 + "\n"))
def test_a_file_that_names_no_root(attest, hardware, tmp_path, text):
    path = tmp_path / "roots"
    path.write_text(text)
    assert attest(hardware.document(), f"--attest-root={path}")[0] == 64


def test_a_file_that_others_could_write(attest, hardware, roots):
    path = roots(hardware)
    path.chmod(0o666)
    assert attest(hardware.document(), f"--attest-root={path}")[0] == 64
    path.chmod(0o644)
    os.chown(path, 12345, 12345)
    assert attest(hardware.document(), f"--attest-root={path}")[0] == 64


def test_fingerprints_as_openssl_writes_them(attest, hardware, tmp_path):
    digits = hardware.fingerprint.upper()
    path = tmp_path / "roots"
    path.write_text("  " + ":".join(digits[at : at + 2] for at in range(0, 64, 2)) + "\r\n")
    assert attest(hardware.document(), f"--attest-root={path}")[0] == 0


# ---- the image


def test_debug_mode(refused, hardware):
    for number in range(3):
        document = hardware.document(pcrs=IMAGE | {number: bytes(48)})
        assert f"PCR{number}" in refused(document, "attested_debug", f"--attest-pcr={pcr_set()}")
    refused(hardware.document(pcrs=DEBUG), "attested_debug")


def test_one_set_of_several(attest, hardware, root_file, refused):
    other = {0: b"\x0b" * 48, 3: IMAGE[3], 8: IMAGE[8]}
    sets = f"--attest-pcr={pcr_set(other)},{pcr_set(numbers=(3, 0))}"
    status, found, _ = attest(hardware.document(), f"--attest-root={root_file}", sets)
    assert (status, found["result"]) == (0, "attested_other_root") and found["image_compared"]
    for unmet in (pcr_set(other), pcr_set({**IMAGE, 3: b"\x3b" * 48}, (0, 3)), pcr_set({**IMAGE, 5: IMAGE[3]}, (0, 5))):
        refused(hardware.document(), "attested_other_image", f"--attest-pcr={unmet}")
    refused(hardware.document(pcrs={**IMAGE, 8: bytes(48)}), "attested_other_image", f"--attest-pcr={pcr_set(numbers=(8,))}")


def test_a_signer_alone_is_warned_of(attest, hardware, root_file):
    root = f"--attest-root={root_file}"
    for numbers, warned in (((8,), 1), ((8, 3), 1), ((0, 8), 0), ((8, 0), 0)):
        _, _, events = attest(hardware.document(), root, f"--attest-pcr={pcr_set(numbers=numbers)}")
        assert [event["event"] for event in events].count("attest_signer_alone") == warned


def test_an_instance_is_no_enclave(refused, hardware):
    """Its PCRs can be extended by who runs it, up to those of any enclave's signer."""
    fields = hardware.fields()
    fields["nitrotpm_pcrs"] = {number: IMAGE.get(number, bytes(48)) for number in range(24)}
    del fields["pcrs"]
    refused(cbor(hardware.sign(cbor(fields))), "attested_instance", f"--attest-pcr={pcr_set(numbers=(8,))}")


# ---- time


def test_age(attest, hardware, root_file, refused):
    made = utc() - datetime.timedelta(minutes=4)
    status, found, _ = attest(hardware.document(made=made), f"--attest-root={root_file}")
    assert status == 0 and 240 <= found["age_s"] < 300
    refused(hardware.document(made=made), "attested_stale", "--attest-max-age=3m")


def test_from_the_future(attest, hardware, root_file, refused):
    document = hardware.document(made=utc() + datetime.timedelta(seconds=40))
    assert attest(document, f"--attest-root={root_file}")[0] == 0
    refused(document, "attestation_clock", "--attest-leeway=1s")
    refused(hardware.document(made=utc() + 3 * HOUR), "attestation_clock")


def lifetime(start, end):
    return {"lifetime": (datetime.timedelta(seconds=start), datetime.timedelta(seconds=end))}


def test_a_certificate_that_begins_a_little_later(attest, roots):
    later = Hardware(leaf=lifetime(30, 10800))
    root = f"--attest-root={roots(later)}"
    assert attest(later.document(), root)[0] == 0
    status, found, _ = attest(later.document(), root, "--attest-leeway=0s")
    assert (status, found["result"]) == (76, "attestation_clock")


def test_no_leeway_at_the_end(attest, roots):
    over = Hardware(leaf=lifetime(-10800, -1))
    status, found, _ = attest(over.document(), f"--attest-root={roots(over)}", "--attest-leeway=1h")
    assert (status, found["result"]) == (76, "attestation_expired")


def test_as_of_then(attest, hardware, root_file, refused):
    then = utc() + HOUR
    moment = then.strftime("%Y-%m-%dT%H:%M:%SZ")
    document = hardware.document(made=then)
    refused(document, "attestation_clock")
    status, found, events = attest(document, f"--attest-root={root_file}", f"--at={moment}")
    assert status == 0 and found["at"] == moment and found["age_s"] == 0
    assert [event["event"] for event in events].count("attest_at") == 1
    late = (utc() + 4 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    refused(document, "attestation_expired", f"--at={late}")


@pytest.mark.parametrize(
    "arguments",
    (
        ("--endpoint=localhost:1",),
        ("--attest=require", "--endpoint=localhost:1", f"--attest-pcr={pcr_set()}"),
    ),
)
def test_then_is_not_for_now(attest, hardware, arguments):
    assert attest(hardware.document(), "--at=2024-09-09T19:49:12Z", *arguments)[0] == 64


def test_then_is_for_files(tmp_path):
    for command in (["attest", "--endpoint=localhost:1"], ["inspect", "-"], ["probe", "--endpoint=localhost:1"]):
        done = subprocess.run([PROGRAM, *command, "--at=2024-09-09T19:49:12Z"], capture_output=True, timeout=60, check=False)
        assert done.returncode == 64


# ---- policies


@pytest.mark.parametrize(
    "arguments",
    (
        ("--attest=require", "--endpoint=localhost:1"),
        ("--attest=require", f"--attest-pcr={pcr_set()}"),
        ("--attest-pcr=0:" + "0" * 96,),
        ("--attest-pcr=8:" + "ab" * 48 + "+0:" + "0" * 96,),
        ("--attest-pcr=" + pcr_set(numbers=(3, 4)),),
        ("--attest-pcr=0:abcd",),
        ("--attest-pcr=32:" + "ab" * 48,),
        ("--attest-pcr=0:" + "ab" * 48 + "+0:" + "ab" * 48,),
        ("--attest-profile=nitriding", "--attest-path=/x"),
        ("--attest-profile=nautilus", "--attest-binding=spki"),
    ),
)
def test_policies_that_make_no_sense(attest, hardware, tmp_path, arguments):
    whole = arguments[0] == "--attest=require"  # a policy is one, wherever it was said
    assert attest(hardware.document(), *arguments)[0] == (78 if whole else 64)
    path = tmp_path / "mtls-agent.conf"
    path.write_text("".join(f"{argument[2:]}\n" for argument in arguments))
    assert attest(hardware.document(), f"--config={path}")[0] == 78


def test_a_policy_that_nobody_would_ask_about(attest, hardware, tmp_path):
    path = tmp_path / "mtls-agent.conf"
    policy = f"attest = require\nattest-pcr = {pcr_set()}\nendpoint = localhost:1\nsecret = a\n"
    path.write_text(policy + "rehearse = off\n")
    for command in ("fetch", "run", "attest"):
        done = subprocess.run([PROGRAM, command, f"--config={path}"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 78 and "rehearse" in done.stderr


# ---- what is damaged or made up


def resigned(hardware, **changed):
    """A document whose fields are changed before it is signed; None as b"": left out."""
    fields = hardware.fields() | changed
    return cbor(hardware.sign(cbor({name: value for name, value in fields.items() if value is not ...})))


def test_a_changed_byte_anywhere(refused, hardware):
    document = bytearray(hardware.document(nonce=bytes(200)))
    certificate = document.index(hardware.leaf.der) + 200
    for at, cause in ((0, "malformed"), (3, "malformed"), (certificate, "untrusted"), (-150, "forged"), (-1, "forged")):
        changed = bytearray(document)
        changed[at] ^= 1
        assert refused(bytes(changed), f"attestation_{cause}"), at
    for at in range(1, len(document), len(document) // 7):
        refused(bytes(document[:at]), "attestation_malformed")


def test_signed_by_somebody_else(refused, hardware):
    payload = cbor(hardware.fields())
    refused(cbor(hardware.sign(payload, key=Hardware().leaf.key)), "attestation_forged")


@pytest.mark.parametrize(
    "changed",
    (
        lambda r, s: (0, s),
        lambda r, s: (r, 0),
        lambda r, s: (0, 0),
        lambda r, s: (ORDER, s),
        lambda r, s: (r, ORDER),
        lambda r, s: (r, s + ORDER if s + ORDER < 1 << 384 else ORDER + 1),
        lambda r, s: (2**384 - 1, 2**384 - 1),
    ),
)
def test_signatures_out_of_range(refused, hardware, changed):
    refused(cbor(hardware.sign(cbor(hardware.fields()), changed=changed)), "attestation_forged")


def test_the_other_signature_is_as_good(attest, hardware, root_file):
    """ECDSA has two for everything: a document's hash is no identity."""
    document = cbor(hardware.sign(cbor(hardware.fields()), changed=lambda r, s: (r, ORDER - s)))
    assert attest(document, f"--attest-root={root_file}")[0] == 0


def cose_cases(hardware):
    header, unprotected, payload, signature = hardware.sign(cbor(hardware.fields()))
    good = [header, unprotected, payload, signature]
    yield "trailing byte", cbor(good) + b"\0"
    yield "another tag", b"\xd3" + cbor(good)
    yield "two tags", b"\xd2\xd2" + cbor(good)
    yield "three parts", cbor(good[:3])
    yield "five parts", cbor([*good, b""])
    yield "unprotected header", cbor([header, {1: -35}, payload, signature])
    yield "no protected header", cbor(hardware.sign(payload, header=b""))
    yield "empty protected header", cbor(hardware.sign(payload, header=cbor({})))
    yield "ES256", cbor(hardware.sign(payload, header=cbor({1: -7})))
    yield "another label", cbor(hardware.sign(payload, header=cbor({2: -35})))
    yield "more in the header", cbor(hardware.sign(payload, header=cbor({**ES384, 4: b"kid"})))
    yield "algorithm twice", cbor(hardware.sign(payload, header=cbor(Pairs([(1, -35), (1, -35)]))))
    yield "bytes behind the header", cbor(hardware.sign(payload, header=cbor(ES384) + b"\0"))
    yield "detached payload", cbor([header, {}, None, signature])
    yield "payload in chunks", cbor([header, {}, Raw(b"\x5f" + cbor(payload[:99]) + cbor(payload[99:]) + b"\xff"), signature])
    yield "signature of 95 bytes", cbor([header, {}, payload, signature[:-1]])
    yield "signature of 97 bytes", cbor([header, {}, payload, signature + b"\0"])
    yield "a map in place of the array", cbor({1: payload})
    yield "too long", cbor(hardware.sign(cbor(hardware.fields() | {"cabundle": [b"\x30" * 1024] * 16})))
    yield "length beyond the end", b"\x84" + head64(2) + header


def head64(major):
    return bytes([major << 5 | 27]) + b"\xff" * 8


def test_malformed_cose(refused, hardware):
    for what, document in cose_cases(hardware):
        assert refused(document, "attestation_malformed"), what


def payload_cases(hardware):
    good = hardware.fields()
    pairs = Pairs(good.items())
    pcrs = good["pcrs"]
    for name in ("module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"):
        yield f"without {name}", cbor({key: value for key, value in good.items() if key != name})
        yield f"{name} is null", cbor(good | {name: None})
    for name in good:
        yield f"{name} twice", cbor(Pairs([*pairs, (name, good[name])]))
    yield "unknown field", cbor(good | {"extra": 1})
    yield "a name that is no text", cbor(Pairs([*pairs, (7, 1)]))
    yield "a name as bytes", cbor(Pairs([(b"digest", "SHA384"), *pairs[2:], pairs[0]]))
    yield "a name in chunks", b"\xa1\x7f\x61a\xff\x01"
    yield "bytes behind the map", cbor(good) + b"\0"
    yield "a map without an end", cbor(good, indefinite=True)[:-1]
    yield "no map", cbor([good])
    yield "SHA256", cbor(good | {"digest": "SHA256"})
    yield "a negative time", cbor(good | {"timestamp": -1})
    yield "a time that is too large", cbor(good | {"timestamp": 2**63})
    yield "an empty module", cbor(good | {"module_id": ""})
    yield "a long module", cbor(good | {"module_id": "i" * 129})
    yield "a module with an escape", cbor(good | {"module_id": "i-\x1b[2J"})
    yield "no PCRs", cbor(good | {"pcrs": {}})
    yield "no PCR1", cbor(good | {"pcrs": {number: value for number, value in pcrs.items() if number != 1}})
    yield "both kinds of PCRs", cbor(good | {"nitrotpm_pcrs": pcrs})
    yield "PCR 32", cbor(good | {"pcrs": {**pcrs, 32: bytes(48)}})
    yield "PCR -1", cbor(good | {"pcrs": {**pcrs, -1: bytes(48)}})
    yield "a PCR twice", cbor(good | {"pcrs": Pairs([*pcrs.items(), (0, pcrs[0])])})
    for size in (0, 32, 47, 49, 64):
        yield f"a PCR of {size} bytes", cbor(good | {"pcrs": {**pcrs, 9: bytes(size)}})
    yield "a PCR as text", cbor(good | {"pcrs": {**pcrs, 9: "x" * 48}})
    yield "an empty certificate", cbor(good | {"certificate": b""})
    yield "a long certificate", cbor(good | {"certificate": b"\x30" * 1025})
    yield "an empty bundle", cbor(good | {"cabundle": []})
    yield "a bundle of nine", cbor(good | {"cabundle": [good["cabundle"][0]] * 9})
    yield "a bundle of texts", cbor(good | {"cabundle": ["x"]})
    for name in ("public_key", "user_data", "nonce"):
        yield f"{name} of 1025 bytes", cbor(good | {name: bytes(1025)})
        yield f"{name} as text", cbor(good | {name: "x"})
        yield f"{name} undefined", cbor(good | {name: Raw(b"\xf7")})
        yield f"{name} false", cbor(good | {name: Raw(b"\xf4")})
        yield f"{name} in chunks", cbor(good | {name: Raw(b"\x5f\x41a\xff")})


def test_malformed_payloads(refused, hardware):
    """Signed all the same: nobody is to guess what they mean."""
    for what, payload in payload_cases(hardware):
        assert refused(cbor(hardware.sign(payload)), "attestation_malformed"), what


def test_fields_of_full_size(attest, hardware, root_file):
    document = hardware.document(nonce=bytes(1024), user_data=b"\xff" * 1024, public_key=b"\0" * 1024)
    assert attest(document, f"--attest-root={root_file}")[0] == 0


EKU = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])

CHAINS = {
    "leaf is a CA": {"leaf": {"ca": True, "key_usage": usage("digital_signature", "key_cert_sign")}},
    "leaf without keyUsage": {"leaf": {"key_usage": False}},
    "leaf that may not sign": {"leaf": {"key_usage": usage("key_agreement")}},
    "leaf for something else": {"leaf": {"more": [EKU]}},
    "leaf of P-256": {"leaf": {"curve": ec.SECP256R1()}},
    "leaf signed with SHA-256": {"leaf": {"algorithm": hashes.SHA256()}},
    "intermediate is no CA": {"region": {"ca": False, "key_usage": usage("key_cert_sign")}},
    "intermediate that may not sign": {"region": {"key_usage": usage("digital_signature")}},
    "intermediate without keyUsage": {"region": {"key_usage": False}},
    "intermediate of P-256": {"region": {"curve": ec.SECP256R1()}},
    "intermediate signed with SHA-512": {"region": {"algorithm": hashes.SHA512()}},
    "root with a short path": {"root": {"path_len": 0}},
    "root of P-521": {"root": {"curve": ec.SECP521R1()}},
    "root that may not sign": {"root": {"key_usage": usage("crl_sign")}},
    "root that is no CA": {"root": {"ca": False, "key_usage": usage("key_cert_sign")}},
}


@pytest.mark.parametrize("what", CHAINS)
def test_chains(attest, roots, what):
    made = Hardware(**CHAINS[what])
    status, found, _ = attest(made.document(), f"--attest-root={roots(made)}")
    assert (status, found["result"]) == (76, "attestation_untrusted"), found


def test_path_lengths_that_suffice(attest, roots):
    made = Hardware(root={"path_len": 1}, region={"path_len": 0})
    assert attest(made.document(), f"--attest-root={roots(made)}")[0] == 0


def test_the_root_attests_nothing_itself(refused, hardware):
    fields = hardware.fields() | {"certificate": hardware.root.der, "cabundle": [hardware.root.der]}
    refused(cbor(hardware.sign(cbor(fields), key=hardware.root.key)), "attestation_untrusted")


def test_certificates_that_cannot_be_read(refused, hardware):
    for changed in ({"certificate": b"\x30\x00"}, {"cabundle": [hardware.root.der, b"\x30\x00"]}):
        refused(resigned(hardware, **changed), "attestation_untrusted")


def test_a_screen_for_people(hardware, tmp_path, root_file):
    path = tmp_path / "document"
    path.write_bytes(hardware.document(nonce=b"", pcrs=DEBUG))
    done = subprocess.run([PROGRAM, "attest", path, f"--attest-root={root_file}"], capture_output=True, text=True, timeout=60, check=False)
    lines = {line[:16].strip(): line[17:] for line in done.stdout.splitlines()}
    assert done.returncode == 76 and lines["result"] == "attested_debug" and "PCR0" in lines["reason"]
    assert int(lines["age_s"]) >= 0 and lines["debug"] == "yes" and lines["pcr0 image"] == "00" * 48 and "pcr5" not in lines
    assert lines["nonce"] == "" and lines["user_data"] == "none"
    assert lines["genuine"] == lines["other_root"] == "yes"


def test_what_is_not_there(tmp_path):
    done = subprocess.run([PROGRAM, "attest", tmp_path / "nothing"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 76 and "attestation_malformed" in done.stderr
    assert subprocess.run([PROGRAM, "attest"], capture_output=True, timeout=60, check=False).returncode == 64
