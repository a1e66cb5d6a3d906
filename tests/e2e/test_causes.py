# SPDX-License-Identifier: Apache-2.0
"""One cause, one remedy: each input of the table in causes.py, and set-ups that need more than an input."""

import json
import os
import re
from types import SimpleNamespace

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import DRY_RUN, ROOT, snapshot
from causes import ACCEPTED, ANSWERS, ARN, CAUSES, DOCUMENTS, Pki, Row
from servers.enclave import KINDS, OpenNginx
from servers.http import Http, text_answer
from servers.pki import DAY, Authority, Pair
from servers.process import free_port

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights, and mount")


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("causes"))


def check(error, row):
    """The error is of the row's cause, and says so as it must."""
    _, code, remedy = CAUSES[row.cause]
    assert (error["code"], error["cause"]) == (code, row.cause), error
    assert error["remedy"] == remedy
    assert error.get("subject", "").startswith(row.subject), error
    assert all(part in error["reason"] for part in row.says), error["reason"]


def status_of(cause):
    return CAUSES[cause][0]


def test_the_table_is_the_programs():
    """Each cause that it has is in the page, with this remedy."""
    page = (ROOT / "docs/errors.md").read_text()
    for cause, (status, code, remedy) in CAUSES.items():
        row = f"| `{code}` | {status} |" if cause == code else f"| `{cause}` | `{code}` | {remedy} |"
        assert row in page, cause
        assert f"| {remedy} |" in page, cause
    causes = re.findall(r"^\| `(\w+)` \| `\w+` \|", page, re.MULTILINE)
    assert len(causes) > 30 and len(set(causes)) == len(causes)


def write(agent, value):
    path = agent.dir.parent / "document"
    path.write_bytes(value if isinstance(value, bytes) else value.encode())
    return path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document(agent, put, some, name):
    """What fetch says of a secret; inspect says the same code of it."""
    row = DOCUMENTS[name]
    value = row.make(some)
    arn = put(value)
    error = agent.fetch(arn, *DRY_RUN, "--client-chain=require").failed(status_of(row.cause), CAUSES[row.cause][1])
    check(error, row)
    assert arn in error["subject"]
    looked = agent.run("inspect", write(agent, value), "--client-chain=require", "--log-format=json")
    codes = {event["code"] for event in looked.all("error")} | set(re.findall(r"not good: (\w+)\n", looked.stdout))
    assert looked.status == 1 and CAUSES[row.cause][1] in codes | {"field_missing"}, looked.stdout


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(agent, put, some, name):
    agent.fetch(put(ACCEPTED[name](some))).succeeded("installed")
    assert agent.file("client.key") in (some.pair.key, some.rsa.key)


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(agent, aws, name):
    row = ANSWERS[name]
    aws.faults.extend([row.make] * 3)
    check(agent.fetch(ARN, *DRY_RUN).failed(status_of(row.cause), CAUSES[row.cause][1]), row)
    assert snapshot(agent.dir) is None


# ---- set-ups: of each a run, and its row


def env(**variables):
    return lambda host: host.agent.fetch(host.secret, *DRY_RUN, env=variables, deadline="3s")


def named(secret, *arguments, **variables):
    return lambda host: host.agent.fetch(secret, *arguments, *DRY_RUN, env=variables, deadline="3s")


def flags(*arguments, deadline="3s"):
    return lambda host: host.agent.fetch(host.secret, *(each.format(host.tmp) for each in arguments), deadline=deadline)


def of_file(content, variable):
    """The variable names a file with this in it."""

    def run(host):
        (host.tmp / "file").write_text(content)
        return host.agent.fetch(host.secret, *DRY_RUN, env={variable: f"{host.tmp}/file"}, deadline="3s")

    return run


def of_directory(variable):
    return lambda host: host.agent.fetch(host.secret, *DRY_RUN, env={variable: f"{host.tmp}"}, deadline="3s")


def inspect(path):
    def run(host):
        return host.agent.run("inspect", path.format(host.tmp), "--log-format=json")

    return run


def bundle(host):
    (host.tmp / "roots.pem").write_text(host.some.root.pem * 200)
    return host.agent.run("inspect", host.tmp / "roots.pem", "--log-format=json")


def pending(host):
    """DescribeSecret answers, since a version of it is installed."""
    host.agent.fetch(host.secret).succeeded("installed")
    return host.agent.fetch(host.secret, "--version-stage=AWSPENDING", *DRY_RUN)


def web_identity(host):
    away = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_ROLE_ARN": host.aws.role_arn}
    away["AWS_WEB_IDENTITY_TOKEN_FILE"] = f"{host.tmp}/none"
    return host.agent.fetch(host.secret, *DRY_RUN, env=away, deadline="3s")


SETTINGS = {
    "half of a key": Row(env(AWS_SECRET_ACCESS_KEY=None), "credentials_failed", "", ["AWS_SECRET_ACCESS_KEY is not"]),
    "no credentials": Row(
        env(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None), "credentials_missing", "", ["AWS_ACCESS_KEY_ID is not set"]),
    "no profile": Row(env(AWS_PROFILE="none", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None), "credentials_failed", "",
                      ["none"]),
    "no web identity": Row(web_identity, "token_file_missing", "", ["No such file"]),
    "a zone": Row(named("x", AWS_REGION="eu-central-1a"), "region_form", "", ["availability zone", "without the last letter"]),
    "a zone by flag": Row(named("x", "--region=us-gov-west-1b"), "usage", "--region", ["availability zone"]),
    "a region's title": Row(named("x", AWS_REGION="Frankfurt"), "region_form", "", ["AWS_REGION"]),
    "no region": Row(named("x"), "region_missing", "", ["AWS_REGION"]),
    "a field behind the ARN": Row(
        named(f"{ARN}:client_cert::"), "usage", "--secret", ["leave that and all behind it off"]),
    "neither true nor false": Row(env(AWS_USE_DUALSTACK_ENDPOINT="yes"), "not_true_or_false", "AWS_USE_DUALSTACK_ENDPOINT", ['"yes"']),
    "a CA bundle that is a directory": Row(of_directory("AWS_CA_BUNDLE"), "ca_bundle", "", ["Is a directory"]),
    "no CA bundle": Row(env(AWS_CA_BUNDLE="/nonexistent/ca.pem"), "ca_bundle", "/nonexistent/ca.pem", ["/nonexistent does not exist"]),
    "an empty CA bundle": Row(of_file("", "AWS_CA_BUNDLE"), "ca_bundle", "", ["no PEM certificate"]),
    "a damaged CA bundle": Row(
        of_file("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", "AWS_CA_BUNDLE"), "ca_bundle", "", ["damaged"]),
    "another CA bundle": Row(of_file(Authority("Other").pem, "AWS_CA_BUNDLE"), "aws_untrusted", "", ["Test AWS Root"]),
    "nobody there": Row(
        env(AWS_ENDPOINT_URL_SECRETS_MANAGER=f"https://localhost:{free_port()}"), "aws_unreachable", "", ["refused"]),
    "no such name": Row(
        env(AWS_ENDPOINT_URL_SECRETS_MANAGER="https://vpce-0.secretsmanager.eu-central-1.vpce.invalid"), "dns_failed", "", ["vpce-0"]),
    "no proxy there": Row(flags("--proxy=127.0.0.1:1", *DRY_RUN), "proxy_unreachable", "", ["127.0.0.1:1"]),
    "no pending version, and a secret": Row(pending, "version_pending", "", ["AWSPENDING"]),
    "no such verb": Row(lambda host: host.agent.run("fetsch", "--log-format=json"), "usage", "command line", ["fetsch"]),
    "no such option": Row(flags("--secrets=x"), "usage", "", ["secret"]),
    "inspect a directory": Row(inspect("{}"), "file_unreadable", "", ["Is a directory"]),
    "inspect nothing": Row(inspect("{}/none"), "file_unreadable", "", ["No such file"]),
    "inspect a system's bundle": Row(bundle, "document_too_large", "", ["bytes"]),
    "inspect no set": Row(
        lambda host: host.agent.run("inspect", f"--dir={host.tmp}/none", "--log-format=json"), "no_identity", "", ["none"]),
    "probe no set": Row(
        lambda host: host.agent.probe("localhost:1"), "no_identity", "", []),
    "another subject": Row(
        flags("--expect-subject=CN=Other", *DRY_RUN), "identity_unexpected", "", ['"CN=Other"']),
}


@pytest.fixture
def host(agent, aws, put, some, tmp_path, up, reach):
    return SimpleNamespace(agent=agent, aws=aws, put=put, some=some, tmp=tmp_path, up=up, reach=reach, secret=put(some.good))


def errors_of(result):
    """What it logged as errors: as text where the form of the log was not known yet."""
    for line in result.stderr.splitlines():
        if line.startswith("{"):
            event = json.loads(line)
        else:
            words = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
            event = {name: json.loads(text) if text[:1] == '"' else text for name, text in words}
            event["event"] = line.split()[2]
        if event["event"] == "error":
            yield event


def ended(result, row):
    """The one error of a run."""
    (error,) = errors_of(result)
    check(error, row)


@pytest.mark.parametrize("name", SETTINGS)
def test_setting(host, name):
    row = SETTINGS[name]
    result = row.make(host)
    ended(result, row)
    if "inspect" not in name:
        assert result.status == status_of(row.cause)


# ---- targets


def as_user(*rights):
    return ("setpriv", *rights, "--")


POWERLESS = as_user("--bounding-set=-dac_override,-dac_read_search,-fowner")
NO_CHOWN = as_user("--bounding-set=-chown")
ALONE = ("unshare", "--user", "--map-root-user", "--")


def owned(prefix, owner="--owner=65534"):
    return lambda host: host.agent.fetch(host.secret, owner, prefix=prefix)


def somebody_elses(mode):
    def run(host):
        host.agent.dir.mkdir()
        host.agent.dir.chmod(mode)
        os.chown(host.agent.dir, 65534, 65534)
        return host.agent.fetch(host.secret, "--writable-dir=warn", prefix=POWERLESS)

    return run


def in_somebody_elses(host):
    host.agent.dir = host.tmp / "other" / "mtls"
    host.agent.dir.parent.mkdir()
    os.chown(host.agent.dir.parent, 65534, 65534)
    return host.agent.fetch(host.secret, "--writable-dir=warn", prefix=POWERLESS)


def mounted(options):
    def run(host):
        script = f'mkdir -p {host.agent.dir} && mount -t tmpfs -o {options} none {host.agent.dir} && exec "$@"'
        return host.agent.fetch(host.secret, prefix=["unshare", "--mount", "sh", "-c", script, "sh"])

    return run


def a_file(host):
    host.agent.dir.write_text("x")
    return host.agent.fetch(host.secret)


def open_to_all(host):
    host.agent.dir.mkdir()
    host.agent.dir.chmod(0o777)
    return host.agent.fetch(host.secret)


def memory(limit):
    def run(host):
        prefix = ["prlimit", f"--memlock={limit}", "--", "setpriv", "--bounding-set=-ipc_lock", "--"]
        return host.agent.fetch(host.secret, prefix=prefix, deadline="10s")

    return run


def hook(host):
    return host.agent.fetch(host.secret, "--on-change-exec=/bin/false")


TARGETS = {
    "an owner without CAP_CHOWN": Row(owned(NO_CHOWN), "owner_denied", "", ["Operation not permitted"]),
    "an owner that is not mapped": Row(owned(ALONE), "owner_unmapped", "", ["Invalid argument"]),
    "a directory of somebody else's": Row(somebody_elses(0o755), "dir_denied", "", ["Permission denied"]),
    "one that may not be read": Row(somebody_elses(0o700), "target_invalid", "", ["Permission denied"]),
    "one that would be made in it": Row(in_somebody_elses, "dir_denied", "", ["Permission denied"]),
    "a read-only mount": Row(mounted("ro"), "read_only", "", ["Read-only file system"]),
    "a full disk": Row(mounted("size=4k"), "disk_full", "", ["No space left"]),
    "a disk without inodes": Row(mounted("nr_inodes=3"), "disk_full", "", ["No space left"]),
    "a file": Row(a_file, "target_invalid", "", ["is not a directory"]),
    "open to all": Row(open_to_all, "target_invalid", "", ["chmod go-w"]),
    "no locked memory": Row(memory(0), "memory_lock", "", ["the limit is 0 KiB"]),
    "64 KiB of it": Row(memory(65536), "memory_full", "", []),
    "128 KiB of it": Row(memory(131072), "memory_full", "", []),
    "a hook that fails": Row(hook, "hook_failed", "", ["ended with status 1"]),
}


def judge(host, row):
    """It ends as the row says, with the status of its cause."""
    result = row.make(host)
    ended(result, row)
    assert result.status == status_of(row.cause)


@AS_ROOT
@pytest.mark.parametrize("name", TARGETS)
def test_target(host, name):
    judge(host, TARGETS[name])


# ---- enclaves


def enclave(make, *arguments, trusts=None):
    """A server with what make gives it, asked with the good identity."""

    def run(host):
        server = make(host.some)
        there = host.up(KINDS["python"](host.tmp / "enclave", server, (trusts or (lambda some: some.root))(host.some).pem))
        return host.agent.fetch(host.secret, *arguments, endpoint=there.endpoint)

    return run


def of(authority, **options):
    return lambda some: authority(some).issue("Enclave", **{"names": ["localhost"], **options})


def root(some):
    return some.root


def long_chain(some):
    server = some.root.issue("Enclave", names=["localhost"])
    return Pair(server.cert + "".join(Authority(f"A{n}").pem for n in range(12)), server.key)


def weak(some):
    own = Authority("Own", "p256", parent=some.root, basic=(False, None))
    server = own.issue("Enclave", names=["localhost"])
    return Pair(server.cert + own.pem, server.key)


def not_mutual(host):
    there = host.up(OpenNginx(host.tmp / "open", host.some.root.issue("Enclave", names=["localhost"]), host.some.root.pem))
    return host.agent.fetch(host.secret, endpoint=there.endpoint)


def plain(host):
    there = host.up(Http(lambda request: text_answer(200, "ok")))
    return host.agent.fetch(host.secret, "--rehearse=require", endpoint=f"localhost:{there.port}")


def nowhere(endpoint):
    return lambda host: host.agent.fetch(host.secret, "--rehearse=require", endpoint=endpoint, deadline="3s")


def other(some):
    return Authority("Other")


ENCLAVES = {
    "refused": Row(enclave(of(root), trusts=other), "enclave_refused", "localhost:", ["alert"]),
    "not mutual": Row(not_mutual, "not_mutual", "localhost:", ["no client certificate"]),
    "another CA": Row(enclave(of(other)), "enclave_ca", "localhost:", ["neither sent nor a trust anchor"]),
    "expired": Row(enclave(of(root, lifetime=(-3 * DAY, -DAY))), "enclave_dates", "localhost:", ["expired"]),
    "not begun": Row(enclave(of(root, lifetime=(DAY, 3 * DAY))), "enclave_dates", "localhost:", ["is valid from"]),
    "another name": Row(enclave(of(root, names=["elsewhere.test"])), "enclave_name", "localhost:", ["elsewhere.test"]),
    "a common name alone": Row(
        enclave(lambda some: some.root.issue("localhost", usage=ExtendedKeyUsageOID.SERVER_AUTH)), "enclave_name", "localhost:",
        ["--allow-cn"],
    ),
    "too much": Row(enclave(long_chain), "enclave_chain", "localhost:", ["more than 10"]),
    "for clients": Row(
        enclave(of(root, usage=ExtendedKeyUsageOID.CLIENT_AUTH)), "enclave_certificate", "localhost:", ["no serverAuth"]),
    "no CA": Row(enclave(weak), "enclave_certificate", "localhost:", ["is no CA"]),
    "plain HTTP": Row(plain, "enclave_plain", "localhost:", ["perhaps plain HTTP"]),
    "nobody there": Row(nowhere("localhost:1"), "enclave_unreachable", "localhost:1", ["refused"]),
    "no such name": Row(nowhere("enclave.invalid:443"), "enclave_dns", "enclave.invalid:443", ["the name was not resolved"]),
}


@pytest.mark.parametrize("name", ENCLAVES)
def test_enclave(host, name):
    judge(host, ENCLAVES[name])
