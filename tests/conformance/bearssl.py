# SPDX-License-Identifier: Apache-2.0
"""BearSSL's own certificate chains, written anew as a suite of x509-limbo.

alltests.txt has sections [key], [anchor] and [chain] of lines "NAME = VALUE". Its anchors are names with keys, so that
certificates are made of them here; their signature is filler, since nobody looks at an anchor's.
"""
import base64

# What our verifier calls BearSSL's BR_ERR_X509_ numbers.
STATUS = {
    "0": (),
    "40": ("malformed",),
    "49": ("weak",),
    "52": ("bad_signature",),
    "54": ("expired", "not_yet_valid"),
    "56": ("name_mismatch",),
    "57": ("critical_extension",),
    "58": ("usage",),
    "60": ("weak",),
    "62": ("no_issuer",),
}
DEFAULT_TIME = "2016-08-30 18:00:00Z"
RSA = bytes.fromhex("300d06092a864886f70d0101010500")
SHA256_WITH_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
CURVES = {"P-256": "06082a8648ce3d030107", "P-384": "06052b81040022", "P-521": "06052b81040023"}
EC = bytes.fromhex("06072a8648ce3d0201")
CA = bytes.fromhex("a3133011300f0603551d130101ff040530030101ff")


def sections(folder):
    """(type, fields) of each."""
    found = []
    for line in (folder / "alltests.txt").read_text(encoding="ascii").splitlines():
        line = line.strip()
        if line.startswith("["):
            found.append((line.strip("[]"), {}))
        elif line and not line.startswith(";"):
            name, value = line.split("=", 1)
            found[-1][1][name.strip()] = value.strip()
    return found


def der(tag, *parts):
    content = b"".join(parts)
    length = len(content)
    size = (length.bit_length() + 7) // 8
    head = bytes([tag, length]) if length < 0x80 else bytes([tag, 0x80 | size]) + length.to_bytes(size, "big")
    return head + content


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def public_key(key):
    if key["type"] == "RSA":
        numbers = integer(int(key["n"], 16)), integer(int(key["e"], 16))
        return der(0x30, RSA, der(3, b"\0", der(0x30, *numbers)))
    algorithm = der(0x30, EC, bytes.fromhex(CURVES[key["curve"]]))
    return der(0x30, algorithm, der(3, b"\0", bytes.fromhex(key["q"])))


def authority(name, key):
    """A certificate of a CA, good at all times."""
    validity = der(0x30, der(0x17, b"500101000000Z"), der(0x18, b"99991231235959Z"))
    version = der(0xA0, integer(2))
    tbs = der(0x30, version, integer(1), SHA256_WITH_RSA, name, validity, name, public_key(key), CA)
    return der(0x30, tbs, SHA256_WITH_RSA, der(3, b"\0filler"))


def holds(leaf, key):
    return bytes.fromhex(key.get("n") or key["q"]) in leaf


def pem(data):
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(data).decode()}-----END CERTIFICATE-----\n"


class Chains:
    def __init__(self, folder):
        self.folder = folder
        self.named = {(kind, fields["name"]): fields for kind, fields in sections(folder)}
        self.chains = [fields for kind, fields in sections(folder) if kind == "chain"]

    def read(self, name):
        return (self.folder / name).read_bytes()

    def anchor(self, name, leaf):
        """An anchor that is no CA stands for the leaf itself, where that has its name and key."""
        anchor = self.named["anchor", name]
        subject, key = self.read(anchor["DN_file"]), self.named["key", anchor["key"]]
        if anchor["type"] == "CA":
            return authority(subject, key)
        assert subject in leaf and holds(leaf, key)
        return leaf

    def case(self, chain):
        leaf, *others = (self.read(name) for name in chain["chain"].split())
        if "eekey" in chain:
            assert holds(leaf, self.named["key", chain["eekey"]])
        name = chain.get("servername")
        return {
            "id": chain["name"],
            "validation_kind": "SERVER",
            "validation_time": chain.get("time", DEFAULT_TIME).replace(" ", "T"),
            "peer_certificate": pem(leaf),
            "untrusted_intermediates": [pem(other) for other in others],
            "trusted_certs": [pem(self.anchor(each, leaf)) for each in chain["anchors"].split()],
            "expected_peer_name": name and {"kind": "DNS", "value": name},
        }

    def suite(self):
        return {"version": 1, "testcases": [self.case(chain) for chain in self.chains]}
