# SPDX-License-Identifier: Apache-2.0
"""OpenTofu as tools/make-tofu has built it, with the stand-in for the AWS provider, on copies of modules."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build/tofu"
OTHERS = ROOT / "tests/hosts/terraform"
TERRAFORM = ROOT / "platform/terraform"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
PROVIDER = f"registry.opentofu.org/hashicorp/aws/6.25.0/linux_{MACHINE}"
SETTINGS = 'provider_installation {{\n  filesystem_mirror {{\n    path = "{}"\n  }}\n}}\n'


class Tofu:
    """Its providers come from a folder: nothing is asked of any registry, nor of AWS."""

    def __init__(self, directory):
        self.directory = Path(directory)
        provider = self.directory / "mirror" / PROVIDER
        provider.mkdir(parents=True)
        shutil.copy(TOOLS / "terraform-provider-aws", provider)
        schema = [sys.executable, OTHERS / "schema.py", TOOLS / "bindings.whl", TERRAFORM, OTHERS]
        (provider / "schema.json").write_bytes(
            subprocess.run(schema, check=True, stdout=subprocess.PIPE).stdout
        )
        (self.directory / "tofu.rc").write_text(SETTINGS.format(self.directory / "mirror"))

    def __call__(self, *arguments, cwd):
        return subprocess.run(
            [TOOLS / "tofu", *arguments],
            cwd=cwd,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "TF_CLI_CONFIG_FILE": str(self.directory / "tofu.rc"),
                "TF_IN_AUTOMATION": "1",
                "CHECKPOINT_DISABLE": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def succeeds(self, *arguments, cwd):
        done = self(*arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout
        return done.stdout


class Host:
    """modules/host, which knows no provider: inputs in, outputs out."""

    defaults = {
        "cluster": "confidential-cluster",
        "ami_os": "amazon-linux-2023",
        "enable_enclave_mtls": True,
        "secrets": ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:mtls-AbCdEf"],
        "kms_key_arns": [],
        "endpoints": ["enclave.example.com:3000", "10.0.1.100:3000"],
        "mtls_certificate_path": None,
        "agent_source": {"s3": None, "image": None},
        "agent_options": {},
        "log_group_name": None,
        "on_fetch_failure": "keep",
        "partition": "aws",
        "dns_suffix": "amazonaws.com",
        "region": "eu-central-1",
    }

    def __init__(self, tofu, directory):
        self._tofu = tofu
        self._directory = Path(directory) / "host"
        shutil.copytree(TERRAFORM / "confidential-container/modules/host", self._directory)
        tofu.succeeds("init", cwd=self._directory)

    def _apply(self, inputs):
        (self._directory / "in.tfvars.json").write_text(json.dumps(self.defaults | inputs))
        (self._directory / "terraform.tfstate").unlink(missing_ok=True)
        return self._tofu(
            "apply", "-auto-approve", "-no-color", "-var-file=in.tfvars.json", cwd=self._directory
        )

    def __call__(self, **inputs):
        done = self._apply(inputs)
        assert done.returncode == 0, done.stdout
        outputs = json.loads(self._tofu.succeeds("output", "-json", cwd=self._directory))
        return {name: output["value"] for name, output in outputs.items()}

    def refuses(self, **inputs):
        """What it says against these inputs, on one line."""
        done = self._apply(inputs)
        assert done.returncode != 0, "taken"
        return " ".join(done.stdout.split())
