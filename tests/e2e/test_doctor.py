# SPDX-License-Identifier: Apache-2.0
"""
`doctor`: broken set-ups, each made for real, with the code that it gives and no other; and healthy ones, which give none.
The rows of a table are functions that break one thing of a host that is well, and return how the doctor is then called.
"""

import json
import os
import signal
from collections import namedtuple

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent import PROGRAM, snapshot
from day import CLOCK
from servers.aws import aws_error
from servers.connect import ConnectProxy
from servers.container import ContainerCredentials
from servers.enclave import KINDS, Go, Nginx, OpenNginx, Python
from servers.http import Answer, Http
from servers.imds import Imds
from servers.more import Plain
from servers.names import NameServer, address
from servers.namespace import Disk, Namespace
from servers.nitro import DEBUG, Attested, Hardware, pcr_set
from servers.pki import DAY, Authority, Pair, document, new_key, key_pem
from servers.process import free_port
from servers.proxy import FaultProxy

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners, users and mounts are root's to make")
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
WEAK = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--"]
Row = namedtuple("Row", "name codes broken")


class Host:
    """A host that is well: an identity in AWS, installed, and an enclave that accepts it. It is broken by a row."""

    def __init__(self, agent, aws, put, good, enclave, up, tmp_path, more):
        self.agent, self.aws, self.put, self.good, self.enclave, self.up, self.tmp = agent, aws, put, good, enclave, up, tmp_path
        self.authority, self.stranger, self.pair, self.clock = more
        self.secret = put(good)
        self.endpoint = enclave.endpoint
        self.words, self.env, self.prefix, self.program = [], {}, (), PROGRAM
        agent.fetch(self.secret).succeeded("installed")

    def hold(self, value):
        """Another secret, which is not installed."""
        self.secret = self.put(value)
        self.unset()

    def unset(self):
        """Nothing is installed."""
        self.agent.dir = self.tmp / "empty"

    def examine(self, *words, form=("--json",)):
        """How the doctor ends."""
        secret = [f"--secret={self.secret}"] if self.secret else []
        endpoint = [f"--endpoint={self.endpoint}"] if self.endpoint else []
        return self.agent.run(
            "doctor",
            *form,
            f"--dir={self.agent.dir}",
            *secret,
            *endpoint,
            *self.words,
            *words,
            env={**self.env},
            prefix=self.prefix,
            program=self.program,
        )

    def serve(self, kind, pair=None, ca=None, **options):
        """Another enclave."""
        pair = pair or self.authority.issue("localhost", names=["localhost"])
        server = self.up(kind(self.tmp / "enclave", pair, ca or self.authority.pem, **options))
        self.endpoint = server.endpoint
        return server

    def open_way(self):
        """Who is not root gets as far as the target."""
        for each in (self.tmp, *self.tmp.parents):
            if str(each).startswith("/tmp/"):
                each.chmod(0o755)

    def file(self, text, mode=0o644):
        path = self.tmp / "agent.conf"
        path.write_text(text)
        path.chmod(mode)
        self.words.append(f"--config={path}")

    def inside(self, script, *words):
        """The doctor is started by a shell in mounts of its own, after this."""
        self.prefix = [*self.prefix, "unshare", "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh", *words]


@pytest.fixture
def host(agent, aws, put, good, enclave, up, tmp_path, authority, stranger, pair, clock):
    return Host(agent, aws, put, good, enclave, up, tmp_path, (authority, stranger, pair, clock))


def told(result, codes):
    """Asserts that these were found, each with all that it wants, and nothing on standard error; returns the findings."""
    report = json.loads(result.stdout)
    found = report["findings"]
    said = [each["cause"] if each["cause"] in codes else each["code"] for each in found]  # codes, or finer
    assert sorted(said) == sorted(codes), json.dumps(report, indent=1) + result.stderr
    assert result.status == (1 if codes else 0) and report["good"] == (not codes)
    for each in found:
        assert each["what"] and each["reason"] and each["remedy"] and each["level"] in ("problem", "warning")
    return found


def table(rows):
    return pytest.mark.parametrize("row", rows, ids=[row.name for row in rows])


# ---- healthy


def test_a_healthy_host_gives_no_finding(host, aws):
    before = snapshot(host.agent.dir)
    aws.asked.clear()
    result = host.examine()
    assert told(result, []) == []
    assert snapshot(host.agent.dir) == before
    targets = [request.headers["X-Amz-Target"].split(".")[1] for request in aws.asked]
    assert sorted(targets) == ["DescribeSecret", "GetSecretValue"]
    rooms = json.loads(result.stdout)["rooms"]
    assert "accepts: TLS 1.2, HTTP 200" in rooms["enclave"] and "credentials of environment" in rooms["aws"]
    text = host.examine(form=())
    assert text.status == 0 and text.stdout.startswith("nothing is wrong\n") and text.stderr == ""
    assert max(map(len, text.stdout.splitlines())) <= 80 + len(str(host.tmp)) + len(host.secret)


def test_as_on_bottlerocket(host, tmp_path):
    """The target lies below the host's root, as a host container sees it; a reader may read it."""
    host.open_way()
    root = tmp_path / "rootfs"
    root.mkdir()
    words = [f"--root={root}", "--owner=0:1000"]
    host.agent.dir = "/etc/ecs/mtls"
    host.agent.fetch(host.secret, *words).succeeded("installed")
    host.words = [*words, "--as-user=1000:1000"]
    told(host.examine(), [])


def test_as_in_a_scratch_image(host, tmp_path):
    """Nothing is there but the program, and what is mounted."""
    root = tmp_path / "scratch"
    for each in ("proc", "dev", "etc", "run/mtls", "aws"):
        (root / each).mkdir(parents=True)
    (root / "mtls-agent").touch()
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    script = f"mount --bind {PROGRAM} {root}/mtls-agent; mount --bind {host.aws.ca_bundle.parent} {root}/aws"
    host.inside(f"{script}; mount -t proc proc {root}/proc", "/usr/sbin/chroot", str(root))
    host.agent.dir = "/run/mtls"
    host.env = {"AWS_CA_BUNDLE": f"/aws/{host.aws.ca_bundle.name}", "MTLS_AGENT_LOCK_DIR": None}
    fetched = host.agent.run(
        "fetch", "--dir=/run/mtls", f"--secret={host.secret}", env=host.env, prefix=host.prefix, program="/mtls-agent"
    )
    assert fetched.status == 0, fetched.stderr
    host.program = "/mtls-agent"
    told(host.examine(), [])


def test_as_the_units_user_of_run(host, serve):
    serve(host.secret, "--log-level=debug", endpoint=host.endpoint).wait("ready")
    assert "alive" in json.loads(host.examine().stdout)["rooms"]["run"]
    told(host.examine(), [])


# ---- configuration


def two_mistakes(host):
    host.file("interval = soon\nfrobnicate = 1\n")


def a_variable(host):
    host.env["MTLS_AGENT_INTERVAL"] = "never"


def a_variable_of_no_option(host):
    host.env["MTLS_AGENT_SECRETE"] = "x"


def writable_by_others(host):
    host.file("interval = 5m\n", 0o666)


def an_endpoint_twice(host):
    host.words.append(f"--endpoint=https://{host.endpoint}")


def a_key_that_nobody_reaches(host):
    host.words += ["--key-mode=0640", "--dir-mode=0700"]


CONFIG = [
    Row("two mistakes in the file", ["config", "config"], two_mistakes),
    Row("a variable", ["config"], a_variable),
    Row("a variable of no option", ["config"], a_variable_of_no_option),
    Row("a file that others may write", ["config"], writable_by_others),
    Row("an endpoint twice", ["config"], an_endpoint_twice),
    Row("a key that nobody reaches", ["config"], a_key_that_nobody_reaches),
]


# ---- host


def memlock(limit, *words):
    def broken(host):
        host.prefix = ["prlimit", f"--memlock={limit}:{limit}", "--", *WEAK]
        host.words += words

    return broken


def clock(seconds):
    def broken(host):
        host.aws.checks_time = True
        host.program = CLOCK
        host.env.update(host.clock.env)
        host.clock.set(seconds)

    return broken


def without_threads(host):
    host.program = CLOCK
    host.env.update(host.clock.env)
    host.clock.no_threads(True)


HOST = [
    Row("memlock 0", ["memory_lock"], memlock(0)),
    Row("memlock 64 KiB", ["memory_lock"], memlock(65536)),
    Row("memlock 0, and prefer", ["memory_lock"], memlock(0, "--memory-lock=prefer")),
    Row("a clock that is behind", ["clock_skew"], clock(-3600)),
    Row("a clock that is ahead", ["clock_skew"], clock(3600)),
    Row("no thread is left", ["threads_full"], without_threads),
]


# ---- target


def nothing_installed(host):
    host.unset()


def a_file_in_its_place(host):
    host.unset()
    host.agent.dir.write_text("")


def mode_0777(host):
    host.agent.dir.chmod(0o777)


def somebody_elses(host):
    os.chown(host.agent.dir, 1234, 1234)


def read_only(host):
    host.inside(f"mount --bind {host.agent.dir} {host.agent.dir}; mount -o remount,ro,bind {host.agent.dir}")


def full_disk(host):
    disk = host.up(Disk(host.tmp / "disk", host.tmp / "log"))
    (disk.dir / "mtls").mkdir()
    host.agent.dir = host.tmp / "disk/mtls"
    host.prefix = disk.enter
    host.agent.fetch(host.secret, prefix=disk.enter).succeeded("installed")
    disk.fill()


def no_inode(host):
    disk = host.up(Disk(host.tmp / "disk", host.tmp / "log", size="4m", inodes=40))
    (disk.dir / "mtls").mkdir()
    host.agent.dir = host.tmp / "disk/mtls"
    host.prefix = disk.enter
    host.agent.fetch(host.secret, prefix=disk.enter).succeeded("installed")
    disk.use_up()


def an_owner_without_the_right(host):
    host.prefix = ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown", "--"]
    host.words.append("--owner=1000:1000")


def a_reader_of_another_user(host):
    host.open_way()
    host.words.append("--as-user=1000:1000")


def a_reader_before_a_closed_directory(host):
    host.open_way()
    host.agent.fetch(host.secret, "--owner=1000:1000").succeeded("healed")
    host.words += ["--as-user=1000:1000", "--owner=1000:1000"]
    host.agent.dir.chmod(0o700)


def a_label_that_no_container_reads(host):
    os.setxattr(host.agent.dir, "security.selinux", b"system_u:object_r:admin_home_t:s0\0")
    host.inside("mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce")


def a_key_of_another(host):
    """Plain files, as scripts leave them."""
    host.unset()
    host.agent.dir.mkdir()
    other = host.authority.issue("ECS-Client")
    for name, text in (("client.crt", host.pair.cert), ("client.key", other.key), ("ca.crt", host.authority.pem)):
        (host.agent.dir / name).write_text(text)


def a_dangling_link(host):
    (host.agent.dir / "..data").unlink()
    (host.agent.dir / "..data").symlink_to("..set-0000000000000000")


TARGET = [
    Row("nothing is installed", ["no_identity"], nothing_installed),
    Row("a file in its place", ["target_invalid"], a_file_in_its_place),
    Row("mode 0777", ["target_invalid"], mode_0777),
    Row("somebody else's", ["target_invalid"], somebody_elses),
    Row("a read-only mount", ["read_only"], read_only),
    Row("a full disk", ["disk_full"], full_disk),
    Row("no inode is left", ["disk_full"], no_inode),
    Row("an owner without the right to give", ["owner_denied"], an_owner_without_the_right),
    Row("a reader who is another user", ["reader_denied"], a_reader_of_another_user),
    Row("a reader before a closed directory", ["reader_denied"], a_reader_before_a_closed_directory),
    Row("a label that no container reads", ["selinux_label"], a_label_that_no_container_reads),
    Row("a key of another certificate", ["key_mismatch"], a_key_of_another),
    Row("a dangling link", ["no_identity"], a_dangling_link),
]


# ---- files


def a_metrics_directory_that_is_not_there(host):
    host.words.append(f"--metrics-file={host.tmp}/none/agent.prom")


def a_metrics_directory_that_is_read_only(host):
    (host.tmp / "metrics").mkdir()
    host.words.append(f"--metrics-file={host.tmp}/metrics/agent.prom")
    host.inside(f"mount -t tmpfs -o ro none {host.tmp}/metrics")


def a_hook_that_is_not_there(host):
    host.words.append(f"--on-change-exec={host.tmp}/none reload")


def a_hook_that_is_no_program(host):
    (host.tmp / "hook").write_text("")
    host.words.append(f"--on-change-exec={host.tmp}/hook")


def a_hook_that_others_may_write(host):
    (host.tmp / "hook").write_text("#!/bin/sh\n")
    (host.tmp / "hook").chmod(0o777)
    host.words.append(f"--on-change-exec={host.tmp}/hook")


FILES = [
    Row("a metrics directory that is not there", ["not_writable"], a_metrics_directory_that_is_not_there),
    Row("a metrics directory that is read-only", ["not_writable"], a_metrics_directory_that_is_read_only),
    Row("a hook that is not there", ["hook_failed"], a_hook_that_is_not_there),
    Row("a hook that is no program", ["hook_failed"], a_hook_that_is_no_program),
    Row("a hook that others may write", ["hook_failed"], a_hook_that_others_may_write),
]


# ---- AWS


def no_credentials(host):
    host.env.update(NO_KEYS)


def half_a_key(host):
    host.env["AWS_SECRET_ACCESS_KEY"] = None


def an_unknown_key(host):
    host.env["AWS_ACCESS_KEY_ID"] = "AKIAAAAAAAAAAAAAAAAA"


def a_wrong_key(host):
    host.env["AWS_SECRET_ACCESS_KEY"] = "x" * 40


def a_role_that_may_not(host):
    host.env.update(host.agent.keys_of(host.aws.denied_keys))


def refusal(code, message):
    def broken(host):
        host.aws.faults += [aws_error(400, code, message)] * 2

    return broken


def no_such_secret(host):
    host.secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls/none-AbCdEf"
    host.unset()


def a_deleted_secret(host):
    host.aws.secrets.delete_secret(SecretId=host.secret)


def throttled(host):
    host.aws.faults += [aws_error(400, "ThrottlingException", "Rate exceeded")] * 2


def nobody_at_aws(host):
    host.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = f"https://localhost:{free_port()}"


def aws_of_another_ca(host):
    (host.tmp / "bundle.pem").write_text(host.stranger.pem)
    host.env["AWS_CA_BUNDLE"] = str(host.tmp / "bundle.pem")


def no_ca_bundle(host):
    host.env["AWS_CA_BUNDLE"] = str(host.tmp / "none.pem")


def nobody_at_the_proxy(host):
    host.env["HTTPS_PROXY"] = f"http://127.0.0.1:{free_port()}"


def a_proxy_with_a_password(host):
    proxy = host.up(ConnectProxy("user:word"))
    host.env["HTTPS_PROXY"] = f"http://127.0.0.1:{proxy.port}"


def a_middlebox(host):
    page = Answer(403, b"<html><title>Blocked by policy</title></html>", {"Content-Type": "text/html"})
    host.aws.faults += [page] * 2


def metadata(**facts):
    def broken(host):
        imds = host.up(Imds(host.aws.session()))
        for name, value in facts.items():
            setattr(imds, name, value)
        host.env.update({**NO_KEYS, **imds.environment()})

    return broken


def credentials_that_are_not_ready(host):
    container = host.up(ContainerCredentials(host.aws.session()))
    container.uninitialized = 1000
    host.env.update({**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri})


def no_token_file(host):
    files = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(host.tmp / "none"), "AWS_ROLE_ARN": host.aws.role_arn}
    host.env.update({**NO_KEYS, **files})


def no_such_profile(host):
    host.env.update({**NO_KEYS, "AWS_PROFILE": "nobody", "HOME": str(host.tmp)})


def no_region(host):
    host.secret = "mtls/none"
    host.unset()


AWS = [
    Row("no credentials", ["credentials_missing"], no_credentials),
    Row("half a key", ["credentials_failed"], half_a_key),
    Row("an unknown key", ["credentials_unknown"], an_unknown_key),
    Row("a wrong key", ["signature_wrong"], a_wrong_key),
    Row("a role that may not read", ["aws_denied"], a_role_that_may_not),
    Row(
        "an explicit deny",
        ["aws_denied_explicitly"],
        refusal(
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/a/b is not authorized to perform: secretsmanager:GetSecretValue "
            "with an explicit deny in a service control policy",
        ),
    ),
    Row(
        "a key that may not be used",
        ["kms_denied"],
        refusal("AccessDeniedException", "Access to KMS is not allowed"),
    ),
    Row("no such secret", ["secret_not_found"], no_such_secret),
    Row("a deleted secret", ["secret_deleted"], a_deleted_secret),
    Row(
        "no such stage",
        ["version_unknown"],
        refusal(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: BLUE",
        ),
    ),
    Row("throttled", ["aws_busy"], throttled),
    Row("nobody at AWS", ["aws_unreachable"], nobody_at_aws),
    Row("AWS of another CA", ["aws_untrusted"], aws_of_another_ca),
    Row("no CA bundle", ["config"], no_ca_bundle),
    Row("nobody at the proxy", ["proxy_unreachable"], nobody_at_the_proxy),
    Row("a proxy with a password", ["proxy_refused"], a_proxy_with_a_password),
    Row("a middlebox", ["not_aws"], a_middlebox),
    Row("metadata that is off", ["metadata_off"], metadata(disabled=True)),
    Row("an instance without a role", ["role_missing"], metadata(role=None)),
    Row("a hop limit of one", ["metadata_hop_limit"], metadata(hold_path="api/token")),
    Row("credentials that are not ready", ["container_not_ready"], credentials_that_are_not_ready),
    Row("no token file", ["token_file_missing"], no_token_file),
    Row("no such profile", ["credentials_failed"], no_such_profile),
    Row("no region", ["region_missing"], no_region),
]


# ---- the secret's identity


def holds(make):
    """The secret holds make(host), and nothing is installed."""
    return lambda host: host.hold(make(host))


def of(**lifetime):
    return lambda host: document(host.authority.issue("ECS-Client", **lifetime), host.authority.pem)


def install(host, value):
    host.secret = host.put(value)
    host.agent.fetch(host.secret, directory=host.agent.dir).succeeded()


def a_leaf_that_ends(host):
    install(host, document(host.authority.issue("ECS-Client", lifetime=(-90 * DAY, 2 * DAY)), host.authority.pem))


def a_ca_that_ends_soon(host):
    ca = Authority("Ending-CA", lifetime=(-300 * DAY, 3 * DAY))
    host.serve(Python, ca.issue("localhost", names=["localhost"]), ca.pem)
    install(host, document(ca.issue("ECS-Client", lifetime=(-DAY, 365 * DAY)), ca.pem))


def another_subject(host):
    host.words.append("--expect-subject=CN=Somebody-Else")


def a_forbidden_ca(host):
    host.words.append(f"--expect-ca={'ab' * 32}")


IDENTITY = [
    Row("no document", ["document_invalid"], holds(lambda host: "geheim")),
    Row("a missing field", ["field_missing"], holds(lambda host: json.dumps({"client_cert": host.pair.cert}))),
    Row(
        "a swapped key",
        ["key_mismatch"],
        holds(lambda host: document(Pair(host.pair.cert, host.authority.issue("x").key), host.authority.pem)),
    ),
    Row("an expired leaf", ["certificate_expired"], holds(of(lifetime=(-9 * DAY, -DAY)))),
    Row("a leaf of the future", ["certificate_not_yet_valid"], holds(of(lifetime=(DAY, 9 * DAY)))),
    Row("a server's certificate", ["certificate_invalid"], holds(of(usage=ExtendedKeyUsageOID.SERVER_AUTH))),
    Row(
        "damaged PEM",
        ["pem_invalid"],
        holds(lambda host: document(Pair(host.pair.cert[:-40], host.pair.key), host.authority.pem)),
    ),
    Row(
        "an encrypted key",
        ["key_encrypted"],
        holds(lambda host: document(Pair(host.pair.cert, key_pem(new_key("p256"), password=b"x")), host.authority.pem)),
    ),
    Row("a key of Ed25519", ["key_unsupported"], holds(of(kind="ed25519"))),
    Row("a leaf that ends soon", ["certificate_ends"], a_leaf_that_ends),
    Row("a CA that ends soon", ["certificate_ends"], a_ca_that_ends_soon),
    Row("another subject than expected", ["identity_unexpected"], another_subject),
    Row("another CA than expected", ["identity_unexpected"], a_forbidden_ca),
]


# ---- the enclave


def nobody_listens(host):
    host.endpoint = f"localhost:{free_port()}"


def nobody_listens_and_no_identity(host):
    nobody_listens(host)
    host.unset()
    host.aws.secrets.delete_secret(SecretId=host.secret)


def plain_http(host):
    host.serve(Plain)


def plain_http_that_only_closes(host):
    """hyper's way: what is no HTTP is not answered."""
    server = host.up(PlainOrNothing())
    host.endpoint = f"localhost:{server.port}"


class PlainOrNothing:
    def __init__(self):
        self._http = Http(lambda _: Answer(200, b"{}\n"))
        self._front = FaultProxy(self._http.port, plain=True)
        self._front._read_piece = self._read  # looks first
        self.port = self._front.port

    @staticmethod
    def _read(source):
        piece = source.recv(65536)
        return b"" if piece[:1] == b"\x16" else piece

    def stop(self):
        self._front.stop()
        self._http.stop()


def a_dead_forwarder(host):
    host.endpoint = f"localhost:{host.up(FaultProxy(1, 'accept', 'close')).port}"


def a_forwarder_that_hangs(host):
    host.endpoint = f"localhost:{host.up(FaultProxy(1, 'accept', 'hold')).port}"


def a_server_of_another_ca(host):
    """As a load balancer that ends TLS."""
    host.serve(Nginx, host.stranger.issue("localhost", names=["localhost"]))


def a_server_with_a_common_name_alone(host):
    host.serve(Python, host.authority.issue("localhost", usage=ExtendedKeyUsageOID.SERVER_AUTH))


def a_server_of_another_name(host):
    host.serve(Python, host.authority.issue("localhost", names=["other.test"]))


def an_expired_server(host):
    host.serve(Python, host.authority.issue("localhost", names=["localhost"], lifetime=(-9 * DAY, -DAY)))


def refusing(kind):
    """The enclave trusts another CA of clients."""
    return lambda host: host.serve(kind, ca=host.stranger.pem)


def two_of_three(host):
    """Each by itself, though the same is wrong with it."""
    host.words += [f"--endpoint=localhost:{free_port()}" for _ in range(2)]


def an_open_server(host):
    host.serve(OpenNginx)


def one_version_too_new(host):
    host.serve(Nginx, tls13_only=True)
    host.words.append("--tls-versions=1.2")


def not_attested(host):
    host.words += ["--attest=require", f"--attest-pcr=0:{'ab' * 48}"]


def only_asked_for_its_attestation(host):
    host.words += ["--attest=report"]


def one_of_two(host):
    host.words.append(f"--endpoint=localhost:{free_port()}")


ENCLAVE = [
    Row("nobody listens", ["enclave_unreachable"], nobody_listens),
    Row("nobody listens, and there is no identity", ["enclave_unreachable", "secret_deleted"], nobody_listens_and_no_identity),
    Row("plain HTTP", ["enclave_plain"], plain_http),
    Row("plain HTTP that only closes", ["enclave_plain"], plain_http_that_only_closes),
    Row("a dead forwarder", ["enclave_unreachable"], a_dead_forwarder),
    Row("a forwarder that hangs", ["enclave_unreachable"], a_forwarder_that_hangs),
    Row("a server of another CA", ["enclave_ca"], a_server_of_another_ca),
    Row("a common name alone", ["enclave_name"], a_server_with_a_common_name_alone),
    Row("another name", ["enclave_name"], a_server_of_another_name),
    Row("an expired server", ["enclave_dates"], an_expired_server),
    Row("refused by an alert", ["enclave_refused"], refusing(Go)),
    Row("refused by HTTP 400", ["enclave_refused"], refusing(Nginx)),
    Row("refused by closing", ["enclave_refused"], refusing(KINDS["node"])),
    Row("no client certificate asked for", ["not_mutual"], an_open_server),
    Row("TLS 1.3 alone, and 1.2 is asked for", ["enclave_unreachable"], one_version_too_new),
    Row("not attested", ["attestation_missing"], not_attested),
    Row("not attested, and only reported", ["attestation_missing"], only_asked_for_its_attestation),
    Row("one of two", ["enclave_unreachable"], one_of_two),
    Row("two of three", ["enclave_unreachable"] * 2, two_of_three),
]


@table(CONFIG + HOST + TARGET + FILES + AWS + IDENTITY + ENCLAVE)
def test_what_is_broken_is_found(host, row):
    row.broken(host)
    found = told(host.examine("--deadline=30s"), row.codes)
    text = host.examine("--deadline=30s", form=()).stdout if row.name in ("mode 0777", "nobody listens") else ""
    assert not text or (text.startswith("problem ") and found[0]["code"] in text)
    host.aws.disagreements.clear()  # a wrong key signs wrongly


# ---- names, and networks that swallow


V4 = "10.77.0.1"


@pytest.fixture
def place(tmp_path, up):
    return up(Namespace(tmp_path / "network", addresses=[f"{V4}/32", "127.0.1.1/32", "fd77::1/128"], black_hole="10.99.0.1/16"))


class Etc:
    """An /etc of the test's own."""

    def __init__(self, host, place, resolv, hosts="127.0.0.1 localhost\n"):
        directory = host.tmp / "etc"
        directory.mkdir()
        (directory / "resolv.conf").write_text(resolv)
        (directory / "hosts").write_text(hosts)
        host.prefix = [*place.enter, "unshare", "--mount", "sh", "-c", f'mount --bind {directory} /etc && exec "$@"', "sh"]
        to_aws = host.up(FaultProxy(host.aws.port, listener=place.open("tcp", "127.0.0.1")))
        host.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = f"https://localhost:{to_aws.port}"


def names_server(host, place, where, says):
    """says(name, kind): an address, RCODE, "" for none; None: silence."""

    def say(query):
        what = says(query.name, query.kind)
        if what is None:
            return None
        if isinstance(what, int):
            return query.answer(rcode=what)
        return query.answer([address(query.name, what)] if what else [])

    return host.up(NameServer(place.open("udp", where, 53), say, place.open("tcp", where, 53)))


def good_names(name, kind):
    return {"A": V4, "AAAA": ""}[kind] if name == "enclave.test" else 3


NAMES = [
    Row("no such name", ["dns_failed"], [lambda name, kind: 3]),
    Row("no server that answers", ["dns_failed"], [lambda name, kind: 2]),
    Row("a server that fails for AAAA", ["dns_failed"], [lambda name, kind: 2 if kind == "AAAA" else V4]),
    Row("one of two that is silent", ["dns_failed"], [good_names, lambda name, kind: None]),
    Row("one of two that knows nothing", ["dns_failed"], [good_names, lambda name, kind: 5]),
    Row("all is well", [], [good_names, good_names]),
]


@table(NAMES)
def test_names(host, place, row):
    """Each name server's own answer is told."""
    wheres = ["127.0.0.53", "127.0.0.54"][: len(row.broken)]
    Etc(host, place, "options timeout:1 attempts:1\n" + "".join(f"nameserver {each}\n" for each in wheres))
    for where, says in zip(wheres, row.broken):
        names_server(host, place, where, says)
    port = host.up(FaultProxy(host.enclave.port, listener=place.open("tcp", V4))).port
    host.endpoint = f"enclave.test:{port}"
    found = told(host.examine("--deadline=40s"), row.codes)
    assert all("127.0.0.5" in each["reason"] and each["subject"] == "enclave.test" for each in found)


def test_two_names_that_nobody_knows(host, place):
    """Neither stands for the other, and a name that has no address is no host that is not reached."""
    Etc(host, place, "options timeout:1 attempts:1\nnameserver 127.0.0.53\n")
    names_server(host, place, "127.0.0.53", lambda name, kind: 3)
    host.endpoint = "one.test:8443"
    found = told(host.examine("--endpoint=two.test:8443", "--deadline=40s"), ["dns_failed"] * 2)
    assert sorted(each["subject"] for each in found) == ["one.test", "two.test"]


def test_a_name_of_awss_that_nobody_knows(host, place):
    Etc(host, place, "options timeout:1 attempts:1\nnameserver 127.0.0.53\n")
    names_server(host, place, "127.0.0.53", lambda name, kind: 3)
    host.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = "https://secretsmanager.eu-central-1.amazonaws.com"
    host.endpoint = None
    (found,) = told(host.examine("--deadline=40s"), ["dns_failed"])
    assert found["subject"] == "secretsmanager.eu-central-1.amazonaws.com"


def test_a_firewall_before_the_enclave(host, place):
    Etc(host, place, "nameserver 127.0.0.53\n")
    host.endpoint = "10.99.7.7:8443"
    (found,) = told(host.examine("--deadline=20s"), ["enclave_unreachable"])
    assert "authorize-security-group-ingress" in found["remedy"] and "--port 8443" in found["remedy"]


def test_no_route_to_aws(host, place):
    Etc(host, place, "nameserver 127.0.0.53\n")
    host.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = "https://192.0.2.1"
    host.endpoint = None
    (found,) = told(host.examine("--deadline=20s"), ["no_route"])
    assert found["room"] == "aws"


def test_an_enclave_in_debug_mode(host):
    """As with nitro-cli run-enclave --debug-mode: its parent reads along."""
    hardware = Hardware()
    (host.tmp / "roots").write_text(hardware.fingerprint + "\n")
    server = host.authority.issue("localhost", names=["localhost"])
    debug = host.up(Attested(host.tmp / "debug", server, host.authority.pem, hardware))
    debug.options = {"pcrs": DEBUG}
    host.endpoint = debug.endpoint
    image = f"--attest-pcr={pcr_set(numbers=(0, 3))}"
    for policy, level in (("report", "warning"), ("require", "problem")):
        words = [f"--attest={policy}", image, f"--attest-root={host.tmp}/roots"]
        (found,) = told(host.examine(*words), ["attested_debug"])
        assert found["level"] == level and "--debug-mode" in found["remedy"]


def test_nothing_follows_from_a_mistake(host):
    """The secret may have been in what was not read."""
    host.secret = host.endpoint = None
    host.file("secrets = x\n")
    (found,) = told(host.examine(), ["config"])
    assert "line 1" in found["reason"]


def test_nothing_is_configured(host):
    host.secret = host.endpoint = None
    host.unset()
    assert told(host.examine(), ["config"])[0]["subject"] == "secret"


# ---- run


def test_a_run_that_has_ended(host, serve):
    service = serve(host.secret, "--log-level=debug", endpoint=host.endpoint)
    service.wait("ready")
    host.agent.status()
    service.stop()
    (found,) = told(host.examine(), ["run_unhealthy"])
    assert "not alive" in found["reason"]


def test_a_run_that_hangs(host, serve):
    """It holds its lock and writes nothing any more: by the time that its status is of."""
    service = serve(host.secret, "--log-level=debug", endpoint=host.endpoint)
    service.wait("ready")
    host.agent.status()
    service.send(signal.SIGSTOP)
    try:
        path = host.agent.dir / "..status.json"
        status = json.loads(path.read_text())
        path.write_text(json.dumps({**status, "uptime_s": 1, "next_within_s": 1}))
        (found,) = told(host.examine(), ["run_unhealthy"])
    finally:
        service.send(signal.SIGCONT)
    assert "written no status" in found["reason"]


# ---- what it promises


def test_all_that_is_wrong_is_told_worst_first(host):
    host.agent.dir.chmod(0o777)
    host.env["MTLS_AGENT_SECRETE"] = "x"
    nobody_listens(host)
    host.aws.secrets.delete_secret(SecretId=host.secret)
    found = told(host.examine(), ["target_invalid", "secret_deleted", "enclave_unreachable", "config"])
    assert [each["level"] for each in found] == ["problem"] * 3 + ["warning"]


def test_nothing_secret_is_shown(host):
    host.hold(document(Pair(host.pair.cert, host.authority.issue("x").key), host.authority.pem))
    for form in ((), ("--json",)):
        result = host.examine(form=form)
        assert result.status == 1
        for secret in (host.pair.key, host.aws.keys["aws_secret_access_key"]):
            assert secret.splitlines()[len(secret.splitlines()) // 2] not in result.stdout + result.stderr


def test_keys_are_read_where_memory_is_locked_alone(host, tmp_path):
    """The shared files hold keys: without locked memory nobody opens them."""
    shared, trace = tmp_path / "shared-keys", tmp_path / "trace"
    shared.write_text("[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = any\n")
    shared.chmod(0o600)
    host.env["AWS_SHARED_CREDENTIALS_FILE"] = str(shared)
    strace = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", str(trace)]
    opened = {}
    for name, limit in (("locked", []), ("unlocked", ["prlimit", "--memlock=0:0", "--", *WEAK])):
        host.prefix = [*strace, *limit]
        assert host.examine().status in (0, 1)
        opened[name] = f'"{shared.name}", O_RDONLY' in trace.read_text()
    assert opened == {"locked": True, "unlocked": False}


def test_it_ends_with_the_deadline_and_tells_what_it_has_found(host):
    """Something that never answers costs no more than that."""
    host.agent.dir.chmod(0o777)
    silent = host.up(FaultProxy(1, "accept", "hold"))
    host.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = f"https://localhost:{silent.port}"
    result = host.examine("--deadline=2s")
    codes = {each["code"] for each in json.loads(result.stdout)["findings"]}
    assert result.status == 1 and "target_invalid" in codes


@pytest.mark.parametrize("seconds, words", [(-240, "behind"), (240, "ahead of")])
def test_a_clock_that_aws_still_takes(host, seconds, words):
    """By the Date of an answer, as nothing is refused."""
    clock(seconds)(host)
    host.endpoint = None
    (found,) = told(host.examine(), ["clock_skew"])
    assert (found["level"], found["room"]) == ("problem", "aws") and f"s {words} AWS's" in found["reason"]


def test_what_is_installed_ends_while_the_secret_is_not_read(host):
    a_ca_that_ends_soon(host)
    host.aws.secrets.delete_secret(SecretId=host.secret)
    found = told(host.examine(), ["certificate_ends", "secret_deleted"])
    assert found[1]["subject"] == str(host.agent.dir) and found[1]["reason"].startswith("a CA ends")


def test_credentials_that_failed_are_asked_for_once(host):
    """However many secrets wait for them."""
    container = host.up(ContainerCredentials(host.aws.session()))
    container.uninitialized = 1000
    host.env.update({**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.full_uri})
    host.endpoint = None
    host.unset()
    told(host.examine(), ["container_not_ready"])
    alone = len(container.asked)
    told(host.examine(f"--secret={host.put(host.good)}"), ["container_not_ready"])
    assert alone > 0 and len(container.asked) == 2 * alone


def test_a_status_that_cannot_be_read(host):
    """It is not taken for none."""
    (host.agent.dir / "..status.json").mkdir()
    (found,) = told(host.examine(), ["system"])
    assert found["room"] == "run"


def test_one_packet_may_be_lost(host, place):
    """A name server that is silent to the first question is asked again."""
    Etc(host, place, "options timeout:1 attempts:1\nnameserver 127.0.0.53\n")
    lost = set()

    def says(name, kind):
        if kind in lost:
            return good_names(name, kind)
        lost.add(kind)
        return None

    names_server(host, place, "127.0.0.53", says)
    port = host.up(FaultProxy(host.enclave.port, listener=place.open("tcp", V4))).port
    host.endpoint = f"enclave.test:{port}"
    told(host.examine("--deadline=40s"), [])


def test_what_needs_no_root_needs_none(host):
    """Another user is told what he can be told, and the rest is left to root."""
    host.open_way()
    host.aws.ca_bundle.parent.chmod(0o755)
    host.aws.ca_bundle.parent.parent.chmod(0o755)
    (host.tmp / "roots").mkdir(0o700)
    hook = host.tmp / "hook"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o700)
    host.words += [f"--metrics-file={host.tmp}/roots/agent.prom", f"--on-change-exec={hook}"]
    told(host.examine(), [])
    host.prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    result = host.examine("--as-user=1000")
    told(result, [])
    rooms = json.loads(result.stdout)["rooms"]
    assert "only root can tell" in rooms["target"] and "only root can tell" in rooms["identity"]
    assert f"only root can tell of {hook}" in rooms["files"] and "agent.prom" in rooms["files"]


def test_more_than_there_is_room_for(host):
    """One of those that are told says that there may be more."""
    host.secret = None
    host.words += [f"--endpoint=localhost:{free_port()}" for _ in range(70)]
    found = json.loads(host.examine("--deadline=60s").stdout)["findings"]
    assert len(found) == 64 and sum("may be more" in each["remedy"] for each in found) == 1
