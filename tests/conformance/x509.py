# SPDX-License-Identifier: Apache-2.0
"""Certificate chains: x509-limbo, and BearSSL's own."""
import csv
import json
import pathlib
import tempfile

import bearssl

NOT_BUILT = 2
TIMEOUT_S = 600
AGREEMENT = 0.95  # of the cases without consensus

# Rules that no implementation is held to.
PEDANTIC = "a pedantic rule"
NOT_APPLICABLE = {
    "rfc5280-incompatible-with-webpki": "the Baseline Requirements say otherwise",
    "webpki::ca-as-leaf": "rfc5280::ca-as-leaf says otherwise",
}

# What the strict profile knowingly does otherwise.
DISAGREEMENTS = {
    "webpki::cn::not-in-san": "a common name counts for nothing beside a subjectAltName; others of the suite need it so",
    "webpki::cn::punycode-not-in-san": "the same",
    **{
        f"bettertls::pathbuilding::tc{number}": "more than 10 certificates are not looked through"
        for number in range(61, 69)
    },
}

# What all accept and we do not: the server's key may sign certificates alone, and signs a handshake (RFC 8446 4.4.2.2).
REFUSED = {
    "rfc5280::ca-as-leaf": "usage",
    "pathlen::validation-ignores-pathlen-in-leaf": "usage",
}

# BearSSL accepts what our policy does not, and by what status.
POLICY = {
    "goodName3": ("common_name_only", "a common name counts with --allow-cn alone"),
    "wildcard7": ("name_mismatch", "foo.*.example.com is no host's name"),
    "hashSHA1": ("weak", "no SHA-1"),
    "hashSHA224": ("weak", "no SHA-224"),
    "rsa1017": ("weak", "no RSA under 2048 bits"),
    "secp256r1-sha1": ("weak", "no SHA-1"),
    "secp256r1-sha224": ("weak", "no SHA-224"),
}
NOT_RUN = {"hashSHA256Unsupported": "it needs a verifier without SHA-256, and ours always has it"}


def verify(run, suite, *profile):
    """Results by id; {} and what went wrong."""
    status, output = run.command("limbo", suite, *profile, timeout=TIMEOUT_S)
    results = json.loads(output)["results"] if status == 0 else []
    return {result["id"]: result for result in results}, f"nothing, status {status}"


def not_applicable(case):
    """Why a case counts for nothing; None where it counts."""
    for feature in [*(case.get("features") or ()), case["id"]]:
        if feature.startswith("pedantic-"):
            return PEDANTIC
        if feature in NOT_APPLICABLE:
            return NOT_APPLICABLE[feature]
    return None


def run_others(run, cases, results):
    """Cases without consensus: most agree, and each that does not is named."""
    agree = count = 0
    for case in cases:
        result = results[case["id"]]
        reason = result["context"] if result["actual_result"] == "SKIPPED" else not_applicable(case)
        if reason:
            run.leave_out(case["id"], reason)
            continue
        count += 1
        if result["actual_result"] == case["expected_result"]:
            agree += 1
        else:
            reason = DISAGREEMENTS.get(case["id"], "no reason is known")
            print(f"  disagrees  {case['id']}: {result['actual_result']}: {reason}")
    print(f"  x509-limbo: {agree} of the {count} applicable others agree")
    run.judge("x509-limbo's others", agree >= AGREEMENT * count, f"only {agree} of {count} agree")


def run_limbo(run):
    suite = run.vectors / "x509-limbo/limbo.json"
    with open(suite.with_name("consensus.tsv"), encoding="utf-8") as table:
        consensus = {row["id"]: row["expected"] for row in csv.DictReader(table, delimiter="\t") if row["consensus"] == "yes"}
    for profile in (), ("private",):
        results, nothing = verify(run, suite, *profile)
        for name, expected in consensus.items():
            result = results.get(name, {"actual_result": nothing, "context": None})
            found = f"{result['actual_result']}: {result['context']}"
            if name in REFUSED:
                print(f"  by policy  {name}: {result['context']}")
                expected = "FAILURE" if (result["context"] or "").startswith(REFUSED[name] + ":") else "a refusal"
            run.judge(" ".join([name, *profile]), result["actual_result"] == expected, found)
        if results and not profile:
            cases = json.loads(suite.read_bytes())["testcases"]
            run_others(run, [case for case in cases if case["id"] not in consensus], results)


def run_bearssl(run, folder):
    """In the private profile: the chains have no key identifiers."""
    chains = bearssl.Chains(folder)
    with tempfile.TemporaryDirectory() as directory:
        suite = pathlib.Path(directory) / "suite.json"
        suite.write_text(json.dumps(chains.suite()), encoding="ascii")
        results, nothing = verify(run, suite, "private")
    for chain in chains.chains:
        name, expected = chain["name"], bearssl.STATUS[chain["status"]]
        if name in NOT_RUN:
            run.leave_out(name, NOT_RUN[name])
            continue
        if name in POLICY:
            status, reason = POLICY[name]
            print(f"  by policy  {name}: {status}: {reason}")
            expected = (status,)
        result = results.get(name, {"actual_result": nothing, "context": None})
        found = f"{result['actual_result']}: {result['context']}"
        status = (result["context"] or result["actual_result"]).split(":")[0]
        run.judge(name, status in (expected or ("SUCCESS",)), found)
