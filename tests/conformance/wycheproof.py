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
    return {"RSASSA-PSS": ("pss", pss), "XDH": ("agree", agree), "ECDH": ("agree", agree), "AES-GCM": ("gcm", aead),
            "CHACHA20-POLY1305": ("chapol", aead)}.get(algorithm, (None, None))


def run(run):
    for path in sorted((run.vectors / "wycheproof").glob("*.json")):
        vectors = json.loads(path.read_bytes())
        command, read = reader_of(vectors["algorithm"])
        if not command:
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
