# SPDX-License-Identifier: Apache-2.0
"""modules/push: which events hosts are told of, what they are told, and what EventBridge may do for it."""

import json
import shutil

import parliament
import pytest

from event_pattern import matches
from scripts import shellcheck
from tofu import TERRAFORM, Tofu

MODULE = TERRAFORM / "confidential-container/modules/push"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
SECRET = ARN + "mtls-AbCdEf"
MOST_OF_A_PATTERN = 2048
RENDER = """
mock_provider "aws" {
  mock_data "aws_partition" { defaults = { partition = "aws" } }
  mock_data "aws_region" { defaults = { region = "eu-west-1" } }
  mock_data "aws_caller_identity" { defaults = { account_id = "123456789012" } }
}
run "render" {
  command = apply
  variables {
    name         = "fleet"
    secrets      = %s
    instance_tag = { key = "mtls-agent", value = "fleet" }
  }
}
"""


@pytest.fixture(scope="module")
def tofu(tmp_path_factory):
    return Tofu(tmp_path_factory.mktemp("tofu"))


@pytest.fixture(scope="module")
def render(tofu, tmp_path_factory):
    """Outputs and resources of the module for these secrets."""

    def render(*secrets):
        folder = tmp_path_factory.mktemp("push") / "push"
        shutil.copytree(MODULE, folder)
        (folder / "render.tftest.hcl").write_text(RENDER % json.dumps(secrets))
        tofu.succeeds("init", cwd=folder)
        lines = tofu.succeeds("test", "-verbose", "-json", cwd=folder).splitlines()
        (state,) = [line["test_state"] for line in map(json.loads, lines) if line["type"] == "test_state"]
        resources = {each["address"]: each["values"] for each in state["values"]["root_module"]["resources"]}
        return {name: output["value"] for name, output in state["values"]["outputs"].items()}, resources

    return render


@pytest.fixture(scope="module")
def rendered(render):
    return render(SECRET)


def call(name, arn=SECRET, member="arn", **more):
    """An API call as CloudTrail tells it."""
    detail = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "requestParameters": {"secretId": "mtls", **more.pop("request", {})},
        "responseElements": {member: arn, "name": "mtls"},
        **more,
    }
    return {"source": "aws.secretsmanager", "detail-type": "AWS API Call via CloudTrail", "detail": detail}


def rotation(name, arn=SECRET):
    detail = {
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "eventType": "AwsServiceEvent",
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": {"SecretId": arn},
    }
    return {"source": "aws.secretsmanager", "detail-type": "AWS Service Event via CloudTrail", "detail": detail}


def label(arn=SECRET):
    detail = {"name": "mtls", "labelUpdated": "AWSCURRENT", "versionId": "a1b2c3d4-5678-90ab-cdef-111111111111"}
    return {
        "source": "aws.secretsmanager",
        "detail-type": "Secret Label Updated",
        "resources": [arn],
        "detail": detail,
    }


OTHER = ARN + "mtls-AbCdEg"


@pytest.mark.parametrize(
    "event, told",
    [
        (label(), True),
        (label(OTHER), False),
        (rotation("RotationSucceeded"), True),
        (rotation("RotationSucceeded", OTHER), False),
        (rotation("RotationStarted"), False),
        (rotation("RotationFailed"), False),
        (call("UpdateSecretVersionStage", request={"versionStage": "AWSCURRENT"}), True),
        (call("UpdateSecretVersionStage", member="aRN"), True),
        (call("UpdateSecret"), True),
        (call("UpdateSecret", member="aRN"), True),
        (call("PutSecretValue"), True),
        (call("PutSecretValue", request={"versionStages": ["AWSCURRENT"]}), True),
        (call("PutSecretValue", member="aRN", request={"versionStages": ["AWSCURRENT", "blue"]}), True),
        (call("PutSecretValue", request={"versionStages": ["AWSPENDING"]}), False),
        (call("PutSecretValue", OTHER), False),
        (call("PutSecretValue", errorCode="AccessDenied", responseElements=None), False),
        (call("GetSecretValue"), False),
        (call("RotateSecret"), False),
        ({**call("PutSecretValue"), "source": "aws.s3"}, False),
    ],
)
def test_events(rendered, event, told):
    (pattern,) = rendered[0]["event_patterns"]
    assert matches(json.loads(pattern), event) == told


def test_a_secret_without_its_last_six_characters(render):
    outputs, _ = render(SECRET, ARN + "batch")
    first, second = map(json.loads, outputs["event_patterns"])
    assert matches(second, label(ARN + "batch-AbCdEf")) and not matches(second, label())
    assert matches(first, label()) and not matches(first, label(ARN + "batch-AbCdEf"))


def test_a_pattern_is_not_too_long(render):
    outputs, _ = render(f"{ARN}{'a/path/of/some/length/' * 4}secret-AbCdEf")
    assert max(map(len, outputs["event_patterns"])) <= MOST_OF_A_PATTERN


def test_what_hosts_are_told(rendered):
    """One command, nothing to fill in, the agent's signal for a look."""
    document = json.loads(rendered[0]["document"])
    (step,) = document["mainSteps"]
    lines = step["inputs"]["runCommand"]
    assert "parameters" not in document and "{{" not in rendered[0]["document"]
    assert "SIGUSR2" in "\n".join(lines) and "HUP" not in "\n".join(lines)
    shellcheck("\n".join(lines))


def test_the_policy(rendered):
    """That document, to instances of that tag."""
    policy = rendered[0]["policy"]
    # It wants both kinds of resource in one statement. AWS's guide has them apart, as the tag is the instances' alone.
    found = {finding.issue for finding in parliament.analyze_policy_string(policy).findings}
    assert found <= {"RESOURCE_MISMATCH"}
    document, instances = json.loads(policy)["Statement"]
    assert document["Action"] == instances["Action"] == "ssm:SendCommand"
    assert document["Resource"] == "arn:aws:ssm:eu-west-1:123456789012:document/fleet-mtls-agent-look"
    assert instances["Condition"] == {"StringEquals": {"ssm:resourceTag/mtls-agent": "fleet"}}
    role = json.loads(rendered[1]["aws_iam_role.this"]["assume_role_policy"])["Statement"][0]
    assert role["Principal"] == {"Service": "events.amazonaws.com"}
    assert set(role["Condition"]) == {"StringEquals", "ArnEquals"}


def test_aws_takes_it(rendered, aws_server):
    """By botocore's model of the services, and moto."""
    outputs, resources = rendered
    target = resources["aws_cloudwatch_event_target.this[0]"]
    ssm, events = aws_server.client("ssm"), aws_server.client("events")
    ssm.create_document(
        Name=outputs["document_name"], DocumentType="Command", DocumentFormat="JSON", Content=outputs["document"]
    )
    events.put_rule(Name="push", EventPattern=outputs["event_patterns"][0])
    (to,) = target["run_command_targets"]
    failed = events.put_targets(
        Rule="push",
        Targets=[
            {
                "Id": "push",
                "Arn": "arn:aws:ssm:eu-west-1:123456789012:document/fleet-mtls-agent-look",
                "RoleArn": "arn:aws:iam::123456789012:role/fleet-push",
                "Input": target["input"],
                "RunCommandParameters": {"RunCommandTargets": [{"Key": to["key"], "Values": to["values"]}]},
            }
        ],
    )
    assert failed["FailedEntryCount"] == 0
    assert json.loads(target["input"]) == {}
    events.remove_targets(Rule="push", Ids=["push"])
    events.delete_rule(Name="push")
    ssm.delete_document(Name=outputs["document_name"])
