# SPDX-License-Identifier: Apache-2.0
"""The Terraform module as users meet it: formatted, valid by the provider's schema, planned, documented."""

import json
import re
import shutil
import subprocess

import pytest

from tofu import OTHERS, ROOT, TERRAFORM, Tofu

MODULE = TERRAFORM / "confidential-container"
# What of a private key would still be one in JSON, where lines end otherwise.
KEY_LINE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(\S+)")

EXAMPLE_TEST = """
mock_provider "aws" {
  mock_data "aws_vpc" {
    defaults = { cidr_block = "10.0.0.0/16" }
  }
  mock_data "aws_ec2_instance_types" {
    defaults = { instance_types = ["m6a.large", "m6a.xlarge", "c6a.large"] }
  }
  mock_data "aws_ami" {
    defaults = { boot_mode = "uefi-preferred" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls-AbCdEf" }
  }
}

run "example" {
  command = apply

  variables {
    region                      = "eu-central-1"
    vpc_id                      = "vpc-0123456789abcdef0"
    private_subnet_ids          = ["subnet-0123456789abcdef0"]
    enclave_security_group_name = "enclaves"
    enclave_endpoints           = ["enclave.example.com:3000"]
    app_image                   = "app:1"
  }
}
"""


@pytest.fixture(scope="module")
def tofu(tmp_path_factory):
    return Tofu(tmp_path_factory.mktemp("tofu"))


@pytest.fixture
def module(tmp_path):
    """A copy of the module in a checkout where `make host-archive` has run."""
    copy = tmp_path / "platform/terraform/confidential-container"
    shutil.copytree(MODULE, copy, ignore=shutil.ignore_patterns(".terraform*", "certs"))
    (tmp_path / "build").mkdir()
    (tmp_path / "build/mtls-agent-host.tar.gz").write_bytes(b"archive")
    return copy


@pytest.fixture
def example(module):
    folder = module / "examples/complete"
    make = [ROOT / "tools/make-certs", "--dir", folder / "certs", "all", "enclave.example.com"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    return folder


def test_formatted(tofu):
    assert tofu("fmt", "-recursive", "-check", "-diff", cwd=TERRAFORM).stdout == ""


@pytest.mark.parametrize("folder", [".", "modules/host", "modules/push", "examples/complete"])
def test_valid(tofu, module, example, folder):
    tofu.succeeds("init", cwd=module / folder)
    tofu.succeeds("validate", cwd=module / folder)


@pytest.mark.parametrize(
    "right, wrong, says",
    [
        ('amd_sev_snp = "enabled"', 'amd_sev_snq = "enabled"', "Unsupported argument"),
        ("ip_protocol       = each.key", "", "Missing required argument"),
        ("managed_scaling {", "managed_scalings {", "Unsupported block type"),
        ("max_size              = var.max_size", 'max_size = "many"', "Incorrect attribute value type"),
    ],
)
def test_the_stand_in_knows_the_schema(tofu, module, right, wrong, says):
    file = next(file for file in module.glob("*.tf") if right in file.read_text())
    file.write_text(file.read_text().replace(right, wrong))
    tofu.succeeds("init", cwd=module)
    done = tofu("validate", cwd=module)
    assert done.returncode != 0 and says in done.stdout


def test_mocked_runs(tofu, module):
    tofu.succeeds("init", cwd=module)
    done = tofu("test", "-no-color", cwd=module)
    assert done.returncode == 0, done.stdout
    passed = int(re.search(r"Success! (\d+) passed, 0 failed", done.stdout)[1])
    assert passed == sum(file.read_text().count('\nrun "') for file in module.glob("tests/*.tftest.hcl"))


def plan_and_state(tofu, example):
    """All that a mocked apply of the example keeps, as JSON."""
    (example / "example.tftest.hcl").write_text(EXAMPLE_TEST)
    tofu.succeeds("init", cwd=example)
    shown = tofu.succeeds("test", "-verbose", "-json", cwd=example)
    states = [line for line in map(json.loads, shown.splitlines()) if line["type"] == "test_state"]
    assert "aws_secretsmanager_secret_version" in json.dumps(states)
    return shown


def test_the_key_never_enters_the_state(tofu, example):
    line = KEY_LINE.search((example / "certs/client.key").read_text())[1]
    assert line not in plan_and_state(tofu, example)


def test_it_would_be_seen_there(tofu, example):
    """By the form without _wo, in which many have it."""
    step = example / "step1-certificates.tf"
    text = re.sub(r"\n *secret_string_wo_version.*", "", step.read_text()).replace(
        "secret_string_wo", "secret_string"
    )
    step.write_text(text)
    line = KEY_LINE.search((example / "certs/client.key").read_text())[1]
    assert line in plan_and_state(tofu, example)


def test_ids_that_are_known_only_after_apply(tofu, module):
    """A first apply makes network, secrets and cluster together: what is counted must not need their ids."""
    folder = module / "examples/first"
    shutil.copytree(OTHERS / "first", folder)
    tofu.succeeds("init", cwd=folder)
    done = tofu("test", "-no-color", cwd=folder)
    assert done.returncode == 0, done.stdout


def test_without_the_archive_the_plan_says_what_to_do(tofu, module, example, tmp_path):
    (tmp_path / "build/mtls-agent-host.tar.gz").unlink()
    (example / "example.tftest.hcl").write_text(EXAMPLE_TEST)
    tofu.succeeds("init", cwd=example)
    done = tofu("test", "-no-color", cwd=example)
    assert done.returncode != 0 and "make host-archive" in " ".join(done.stdout.split())


def declared(folder, kind):
    return [
        name
        for file in folder.glob("*.tf")
        for name in re.findall(rf'^{kind} "(\w+)"', file.read_text(), re.M)
    ]


@pytest.mark.parametrize("kind, heading", [("variable", "## Inputs"), ("output", "## Outputs")])
def test_the_guide_names_all(kind, heading):
    section = (MODULE / "README.md").read_text().split(heading)[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", section, re.M)) == sorted(declared(MODULE, kind))
