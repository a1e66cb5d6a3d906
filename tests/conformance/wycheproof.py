# SPDX-License-Identifier: Apache-2.0
"""Wycheproof's vectors of what TLS is made of, in each file's own form; what is not TLS's is left out."""
import hashlib
import json

HASHES = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
GROUPS = {"secp256r1": "0017", "secp384r1": "0018", "curve25519": "001d"}


def pss(group, test):
    """Signatures with other parameters than TLS's are good ones, and not for us."""
    if group["sha"] not in HASHES:
        return None
    digest = hashlib.new(HASHES[group["sha"]], bytes.fromhex(test["msg"]))
    ours = group["mgfSha"] == group["sha"] and group["sLen"] == digest.digest_size
    if not ours and test["result"] != "valid":
        return None  # bad by its own parameters, perhaps good by ours
    key = group["publicKey"]
    return ((key["modulus"], key["publicExponent"], digest.hexdigest(), test["sig"]),
            {test["result"] if ours else "invalid"})


def numbers(der):
    """The INTEGERs of an RSAPrivateKey in PKCS#8, without leading zeros: version, n, e, d, p, q, dp, dq, qinv."""
    found = []
    while der:
        tag, size, der = der[0], der[1], der[2:]
        if size & 0x80:
            size, der = int.from_bytes(der[: size & 0x7F], "big"), der[size & 0x7F :]
        if tag == 0x04:  # the OCTET STRING around it
            found = []
        if tag == 0x02:
            found.append(int.from_bytes(der[:size], "big"))
        if tag in (0x02, 0x05, 0x06):
            der = der[size:]
    return found


def private(of_test):
    """The operation itself, in front of whatever padding there is: what plain integers come to, and for signatures the vector."""
    def case(group, test):
        _, n, _, d, *values = numbers(bytes.fromhex(group["privateKeyPkcs8"]))
        size = (n.bit_length() + 7) // 8
        block = of_test(group, test, size)
        if block is None or n.bit_length() > 4096:
            return None
        number = int.from_bytes(block, "big")
        taken = len(block) == size and number < n
        p, q = values[:2]  # four times as fast as modulo n
        at_p, at_q = pow(number, d % (p - 1), p), pow(number, d % (q - 1), q)
        expected = (at_q + q * ((at_p - at_q) * pow(q, -1, p) % p)).to_bytes(size, "big").hex() if taken else "refused"
        hexes = [f"{value:x}" for value in (n, *values)]
        fields = (*(text.zfill(len(text) + len(text) % 2) for text in hexes), block.hex())
        return fields, {expected} & {test["sig"]} if "sig" in test else {expected}
    return case


def padded(group, test, size):
    """EMSA-PKCS1-v1_5 (RFC 8017 section 9.2); by SHA-2 alone, as we sign."""
    prefixes = {"SHA-224": "1c", "SHA-256": "20", "SHA-384": "30", "SHA-512": "40"}
    kinds = {"SHA-224": "04", "SHA-256": "01", "SHA-384": "02", "SHA-512": "03"}
    if group["sha"] not in prefixes:
        return None
    digest = hashlib.new(group["sha"].replace("-", ""), bytes.fromhex(test["msg"])).digest()
    head = bytes.fromhex("06096086480165030402" + kinds[group["sha"]] + "0500")
    info = bytes((0x30, len(head) + 4 + len(digest), 0x30, len(head))) + head + bytes((0x04, len(digest))) + digest
    return b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info


def ciphertext(_, test, size):
    """Of any length."""
    return bytes.fromhex(test["ct"])


def agree(group, test):
    """What may be accepted or not is refused where both sides would know nothing, or the point is compressed."""
    if group["curve"] not in GROUPS:
        return None
    expected = {test["shared"]} if test["result"] == "valid" else {"refused"}
    if test["result"] == "acceptable" and test["shared"].strip("0"):
        expected = {"refused"} if "CompressedPoint" in test["flags"] else {test["shared"]}
    return (GROUPS[group["curve"]], test["private"], test["public"]), expected


def aead(group, test):
    if (group["ivSize"], group["tagSize"]) != (96, 128) or group["keySize"] == 192:
        return None
    expected = test["msg"] or "-"
    return ((test["key"], test["iv"], test["aad"], test["ct"], test["tag"]),
            {expected if test["result"] == "valid" else "refused"})


def hkdf(name):
    size = int(name.rsplit("-", 1)[1]) // 8

    def case(_, test):
        if test["size"] > 255 * size:
            return None  # more than there is
        return ("00" * size, test["ikm"], test["salt"], test["info"], f"{test['size']:04x}"), {test["okm"]}
    return case


def reader_of(algorithm):
    """How the program is asked, and what makes a line of a case."""
    if algorithm.startswith("HKDF-SHA-"):
        return "hkdf", hkdf(algorithm)
    return {"RSASSA-PSS": ("pss", pss), "RSASSA-PKCS1-v1_5": ("private", private(padded)),
            "RSAES-PKCS1-v1_5": ("private", private(ciphertext)), "RSAES-OAEP": ("private", private(ciphertext)),
            "XDH": ("agree", agree), "ECDH": ("agree", agree), "AES-GCM": ("gcm", aead),
            "CHACHA20-POLY1305": ("chapol", aead)}.get(algorithm, (None, None))


def run(run):
    for path in sorted((run.vectors / "wycheproof").glob("*.json")):
        vectors = json.loads(path.read_bytes())
        command, read = reader_of(vectors["algorithm"])
        if not command or (command == "private" and "privateKeyPkcs8" not in vectors["testGroups"][0]):
            run.leave_out(path.name, "no primitive of ours")
            continue
        cases = [(test["tcId"], read(group, test)) for group in vectors["testGroups"] for test in group["tests"]]
        taken = [(number, *case) for number, case in cases if case]
        if len(taken) < len(cases):
            run.leave_out(path.name, f"{len(cases) - len(taken)} of {len(cases)} cases, which are not of TLS's kind")
        lines = "".join(" ".join(field or "-" for field in fields) + "\n" for _, fields, _ in taken)
        _, output = run.command("primitive", command, given=lines.encode(), timeout=120)
        found = output.decode().split()
        run.judge(f"{path.name}, all of it", len(found) == len(taken), f"{len(found)} of {len(taken)} were read")
        for (number, _, expected), other in zip(taken, found):
            run.judge(f"{path.name} {number}", other in expected, other)
