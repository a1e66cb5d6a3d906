# SPDX-License-Identifier: Apache-2.0
"""What the Terraform module tells hosts, and lets them do, read by who reads it on a host or in AWS."""

import base64
import json
import subprocess
import tomllib

import parliament
import pytest
import yaml
from botocore.exceptions import ClientError

from agent import PROGRAM, ROOT
from servers.aws import REGION
from tofu import Host, Tofu

S3 = {"bucket": "agents", "key": "mtls-agent/host.tar.gz", "sha256": "0" * 64, "region": None}
FROM_S3 = {"s3": S3, "image": None}
FROM_IMAGE = {"s3": None, "image": "registry.example.com/mtls-agent@sha256:" + "0" * 64}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
OTHER = SECRET + "another-AbCdEf"
LINUX = ["amazon-linux-2023", "ubuntu"]
MOST_USER_DATA = 16384


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    directory = tmp_path_factory.mktemp("host")
    return Host(Tofu(directory), directory)


def cloud_config(user_data):
    """Its files by path, and the script that it runs."""
    assert user_data.startswith("#cloud-config\n")
    config = yaml.safe_load(user_data)
    assert set(config) == {"write_files", "runcmd"}
    ((shell, flag, script),) = config["runcmd"]
    assert (shell, flag) == ("/bin/sh", "-c")
    return {file["path"]: file for file in config["write_files"]}, script


def read_by_agent(tmp_path, text):
    """The agent's exit status over a configuration; it asks nobody, since there are no credentials."""
    config = tmp_path / "mtls-agent.conf"
    config.write_text(text.replace("/.bottlerocket/rootfs", str(tmp_path)))
    environment = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    command = [PROGRAM, "fetch", "--config", config, "--deadline=5s", "--memory-lock=prefer"]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("ami_os", [*LINUX, "bottlerocket"])
def test_the_agent_takes_its_configuration(render, tmp_path, ami_os):
    identities = {"web": [SECRET + "one-AbCdEf", SECRET + "two"], "batch": SECRET + "three-AbCdEf"}
    source = FROM_IMAGE if ami_os == "bottlerocket" else FROM_S3
    options = {"key-mode": "0640", "expect-subject": "CN=ECS-Client,O=Example"}
    config = render(ami_os=ami_os, agent_source=source, secrets=identities, agent_options=options)["config"]
    config = config.replace("dir = ", f"dir = {tmp_path}" if ami_os != "bottlerocket" else "dir = ")
    status, log = read_by_agent(tmp_path, config)
    assert status == 77, log  # no credentials, and that is all
    assert read_by_agent(tmp_path, config + "key-mode = 9\n")[0] == 78


def test_bottlerocket_settings(render):
    told = render(ami_os="bottlerocket", agent_source=FROM_IMAGE)
    settings = tomllib.loads(told["user_data"])["settings"]
    assert settings["ecs"] == {"cluster": "confidential-cluster", "awsvpc-block-imds": True}
    container = settings["bootstrap-containers"]["mtls-agent"]
    assert base64.b64decode(container.pop("user-data")).decode() == told["config"]
    assert container == {"source": FROM_IMAGE["image"], "mode": "always", "essential": True}
    for line in (
        "command = fetch",
        "root = /.bottlerocket/rootfs",
        "dir = /run/mtls-agent",
        "memory-lock = prefer",
    ):
        assert line in told["config"].splitlines()


def test_bottlerocket_without_an_enclave(render):
    told = render(ami_os="bottlerocket", enable_enclave_mtls=False, secrets=[], endpoints=[])
    assert set(tomllib.loads(told["user_data"])["settings"]) == {"ecs"}


@pytest.mark.parametrize("ami_os", LINUX)
def test_files(render, ami_os):
    told = render(ami_os=ami_os)
    files, _ = cloud_config(told["user_data"])
    settings = dict(line.split("=") for line in files["/etc/ecs/ecs.config"]["content"].splitlines())
    assert settings["ECS_CLUSTER"] == "confidential-cluster" and settings["ECS_AWSVPC_BLOCK_IMDS"] == "true"
    assert files["/etc/mtls-agent/agent.conf"]["content"] == told["config"]
    # The agent refuses a file that others may write to.
    assert all(file["owner"] == "root:root" and file["permissions"] == "0644" for file in files.values())


def test_ecs_waits_for_every_identity(render):
    files, _ = cloud_config(render(secrets={"web": OTHER, "batch": OTHER})["user_data"])
    drop_in = files["/etc/systemd/system/ecs.service.d/mtls-agent.conf"]["content"].splitlines()
    assert "Requires=mtls-agent-fetch.service" in drop_in and "After=mtls-agent-fetch.service" in drop_in
    for name in ("batch", "web"):
        assert f"AssertPathExists=/etc/ecs/mtls/{name}/..data" in drop_in


def test_poweroff(render):
    path = "/etc/systemd/system/mtls-agent-fetch.service.d/poweroff.conf"
    kept, script = cloud_config(render()["user_data"])
    assert path not in kept and "poweroff" not in script
    files, script = cloud_config(render(on_fetch_failure="poweroff")["user_data"])
    assert files[path]["content"].split() == ["[Unit]", "FailureAction=poweroff", "[Service]", "Restart=no"]
    assert "systemctl poweroff" in script


@pytest.mark.parametrize("path", ["/srv/mtls", "/srv/mtls-agent/of.a_task"])
def test_own_path(render, path):
    """Memory there, by a unit of the name that systemd has for it; and the services may write to it."""
    files, _ = cloud_config(render(mtls_certificate_path=path)["user_data"])
    escape = ["systemd-escape", "--path", "--suffix=mount", path]
    name = subprocess.run(escape, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    mount = files[f"/etc/systemd/system/{name}"]["content"].splitlines()
    shipped = (ROOT / "platform/systemd/etc-ecs-mtls.mount").read_text().splitlines()
    assert [line for line in mount if line.startswith("Options=")] == [
        line for line in shipped if line.startswith("Options=")
    ]
    assert f"Where={path}" in mount and "Type=tmpfs" in mount
    for unit in ("mtls-agent-fetch", "mtls-agent"):
        drop_in = files[f"/etc/systemd/system/{unit}.service.d/path.conf"]["content"]
        assert f"RequiresMountsFor={path}\n" in drop_in and f"ReadWritePaths={path}\n" in drop_in


@pytest.mark.parametrize(
    "name, right, wrong",
    [
        ("key-mode", "0640", "rw-r-----"),
        ("rehearse", "require", "required"),
        ("interval", "10m", "10 minutes"),
        ("combined", "True", "si"),
        ("tls-versions", "1.3", "1x3"),
        ("rollback-on-failure", "authenticated", "maybe"),
        ("owner", "0:10001", "0:10001:5"),
        ("AWS_USE_FIPS_ENDPOINT", "true", ""),
    ],
)
def test_options_are_those_of_the_agent(render, tmp_path, name, right, wrong):
    """Refused at plan, and by the agent."""
    config = render(agent_options={name: right})["config"].replace("dir = ", f"dir = {tmp_path}")
    assert read_by_agent(tmp_path, config)[0] in (71, 77)  # no credentials, or no right to give files away
    said = render.refuses(agent_options={name: wrong})
    assert f"{name} cannot be" in said
    if wrong:
        assert read_by_agent(tmp_path, config.replace(f"{name} = {right}", f"{name} = {wrong}"))[0] == 78


def test_unknown_options(render):
    said = render.refuses(agent_options={"key_mode": "0640", "interval": "soon"})
    assert "no option key_mode" in said and "interval cannot be" in said
    assert "no effect" in render.refuses(agent_options={"metrics-file": "/srv/metrics.prom"})


@pytest.mark.parametrize("ami_os", LINUX)
@pytest.mark.parametrize(
    "more", [{}, {"agent_source": FROM_S3, "log_group_name": "/ecs/mtls", "on_fetch_failure": "poweroff"}]
)
def test_script_is_good_shell(render, ami_os, more):
    _, script = cloud_config(render(ami_os=ami_os, **more)["user_data"])
    checked = subprocess.run(
        ["shellcheck", "--shell=sh", "-"], input=script, stdout=subprocess.PIPE, text=True
    )
    assert checked.stdout == ""
    assert "systemctl start ecs" not in script  # cloud-init would wait for ECS, which waits for cloud-init


@pytest.mark.parametrize("ami_os", [*LINUX, "bottlerocket"])
def test_fits_into_user_data(render, ami_os):
    """With 16 identities and 64 enclaves, and all that can be asked for."""
    more = (
        {"agent_source": FROM_IMAGE}
        if ami_os == "bottlerocket"
        else {"agent_source": FROM_S3, "log_group_name": "/ecs/mtls", "on_fetch_failure": "poweroff"}
    )
    told = render(
        ami_os=ami_os,
        secrets={f"identity-{i}": f"{SECRET}a-name-of-some-length-{i}-AbCdEf" for i in range(16)},
        endpoints=[f"enclave-{i}.internal.example.com:3000" for i in range(64)],
        **more,
    )
    assert len(told["user_data"].encode()) <= MOST_USER_DATA


@pytest.mark.parametrize(
    "says, inputs",
    [
        ("mtls_certificate_secrets_arns is empty", {"secrets": []}),
        (
            "Nothing can write to /etc on Bottlerocket",
            {"ami_os": "bottlerocket", "agent_source": FROM_IMAGE, "mtls_certificate_path": "/etc/ecs/mtls"},
        ),
        ("agent_source.image is for Bottlerocket", {"agent_source": FROM_IMAGE}),
        ("there it is needed", {"ami_os": "bottlerocket"}),
        (
            "cannot be told to power off",
            {"ami_os": "bottlerocket", "agent_source": FROM_IMAGE, "on_fetch_failure": "poweroff"},
        ),
        (
            "journal and console only",
            {"ami_os": "bottlerocket", "agent_source": FROM_IMAGE, "log_group_name": "/ecs/mtls"},
        ),
    ],
)
def test_refused(render, says, inputs):
    assert says in render.refuses(**inputs)


# ---- policies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["instance_policy", "task_role_policy_document"])
@pytest.mark.parametrize(
    "more", [{}, {"kms_key_arns": [KEY], "agent_source": FROM_S3, "log_group_name": "/ecs/mtls"}]
)
def test_policy_is_sound(render, output, more):
    document = render(**more)[output]
    found = [str(finding) for finding in parliament.analyze_policy_string(document).findings]
    assert found == []
    for statement in json.loads(document)["Statement"]:
        assert "*" not in (statement["Action"], statement["Resource"])


def statements(document):
    return {statement["Sid"]: statement for statement in json.loads(document)["Statement"]}


def test_policy_names_the_secrets_alone(render):
    told = render(secrets=[[SECRET + "whole-AbCdEf", SECRET + "part"]])
    found = statements(told["instance_policy"])
    assert list(found) == ["ReadIdentity"]
    assert found["ReadIdentity"]["Resource"] == [SECRET + "whole-AbCdEf", SECRET + "part-??????"]


def test_policy_reads_the_replicas_that_are_asked(render):
    """In both Regions that the agent is told of, by name, and their keys by way of Secrets Manager there."""
    told = render(agent_options={"fallback-region": "eu-west-1, us-west-2"}, kms_key_arns=[KEY])
    found = statements(told["instance_policy"])
    own = SECRET + "mtls-AbCdEf"
    replicas = [own.replace("eu-central-1", region) for region in ("eu-west-1", "us-west-2")]
    assert found["ReadIdentity"]["Resource"] == [own, *replicas]
    assert found["DecryptIdentity"]["Condition"]["StringEquals"]["kms:ViaService"] == [
        f"secretsmanager.{region}.amazonaws.com" for region in ("eu-central-1", "eu-west-1", "us-west-2")
    ]


def test_policy_opens_the_key_for_the_secrets_alone(render):
    found = statements(render(kms_key_arns=[KEY])["task_role_policy_document"])["DecryptIdentity"]
    assert found["Resource"] == [KEY] and found["Action"] == "kms:Decrypt"
    assert found["Condition"] == {
        "StringEquals": {"kms:ViaService": ["secretsmanager.eu-central-1.amazonaws.com"]},
        "StringLike": {"kms:EncryptionContext:SecretARN": [SECRET + "mtls-AbCdEf"]},
    }


def test_tasks_get_no_more_than_the_identity(render):
    more = {"kms_key_arns": [KEY], "agent_source": FROM_S3, "log_group_name": "/ecs/mtls"}
    assert set(statements(render(**more)["task_role_policy_document"])) == {"ReadIdentity", "DecryptIdentity"}


@pytest.fixture
def role(aws_server):
    """Makes a role with a policy; its credentials, as instance metadata gives them."""
    iam = aws_server.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}],
    }
    made = []

    def make(document):
        name = f"host-{len(made)}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        made.append(name)
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        return aws_server.session(arn)

    yield make
    for name in made:
        iam.delete_role_policy(RoleName=name, PolicyName="own")
        iam.delete_role(RoleName=name)


def test_aws_takes_the_policy(render, aws_server, role):
    """moto refuses a document that IAM would refuse, and what a role may not do."""
    session = role(
        render(kms_key_arns=[KEY], agent_source=FROM_S3, log_group_name="/ecs/mtls")["instance_policy"]
    )
    s3 = aws_server.client("s3")
    s3.create_bucket(Bucket=S3["bucket"], CreateBucketConfiguration={"LocationConstraint": REGION})
    keys = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    try:
        for key in (S3["key"], "another"):
            s3.put_object(Bucket=S3["bucket"], Key=key, Body=b"archive")
        as_host = aws_server.client("s3", keys=keys)
        assert as_host.get_object(Bucket=S3["bucket"], Key=S3["key"])["Body"].read() == b"archive"
        with pytest.raises(ClientError, match="AccessDenied"):
            as_host.get_object(Bucket=S3["bucket"], Key="another")
    finally:
        for key in (S3["key"], "another"):
            s3.delete_object(Bucket=S3["bucket"], Key=key)
        s3.delete_bucket(Bucket=S3["bucket"])
