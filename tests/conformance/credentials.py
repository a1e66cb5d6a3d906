# SPDX-License-Identifier: Apache-2.0
"""Where credentials come from: shared config files, roles, metadata and container endpoints, whole chains."""
import json

SSO = "it is about SSO, which the agent does not support"


def _ask(run, command, case):
    status, output = run.command(command, given=json.dumps(case).encode())
    text = output.decode().strip()
    return (json.loads(text) if text.startswith("{") else text) if status == 0 else f"status {status}"


def _profiles(run, folder):
    for case in json.loads((folder / "profile-parser-tests.json").read_bytes())["tests"]:
        found, expected = _ask(run, "profile", case), case["output"]
        if "errorContaining" in expected:
            expected = "error"
        else:
            for sections in (expected["config"], found["config"] if isinstance(found, dict) else {}):
                sections.setdefault("sso_sessions", {})
        run.judge(case["name"], found == expected, found)


def _file_locations(run, folder):
    for case in json.loads((folder / "file-location-tests.json").read_bytes())["tests"]:
        if case["platform"] == "windows":
            run.leave_out(f"{case['name']} ({case['configLocation']})", "it is about Windows")
            continue
        found = _ask(run, "file-location", case)
        keys = [key for key in ("profile", "configLocation", "credentialsLocation") if key in case]
        good = isinstance(found, dict) and all(found[key] == case[key] for key in keys)
        run.judge(case["name"], good, found)


def _assumed_roles(run, folder):
    for case in json.loads((folder / "assume-role-tests.json").read_bytes()):
        if "sso" in json.dumps(case).lower():
            run.leave_out(case["docs"], SSO)
            continue
        expected = "error" if "Error" in case["output"] else case["output"]
        found = _ask(run, "assume-role", case)
        run.judge(case["docs"], found == expected, found)


def _imds_endpoints(run, folder):
    for case in json.loads((folder / "imds-endpoint-tests.json").read_bytes())["tests"]:
        expected = "error" if "Err" in case["result"] else case["result"]
        found = _ask(run, "imds-endpoint", case)
        run.judge(case["docs"], found == expected, found)


def _chains(run, folder):
    for case in sorted(path.parent for path in folder.glob("chain/*/test-case.json")):
        expected = json.loads((case / "test-case.json").read_bytes())["result"]
        status, output = run.command("chain", case)
        found = output.decode().strip().splitlines()[-1:] or [f"status {status}"]
        if "Ok" in expected:
            expected["Ok"].pop("account_id", None)
            good = found[0].startswith("{") and json.loads(found[0]) == expected
        else:
            good = found[0] == "error"
        run.judge(case.name, status == 0 and good, found[0])


def run_credentials(run):
    folder = run.vectors / "credentials"
    for suite in (_profiles, _file_locations, _assumed_roles, _imds_endpoints, _chains):
        before = run.passed, run.failed
        suite(run, folder)
        name = suite.__name__.strip("_").replace("_", " ")
        print(f"  credentials, {name}: {run.passed - before[0]} passed, {run.failed - before[1]} failed")
