# What is refused at plan. module.tftest.hcl shows that the same inputs without the mistake pass.
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
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
  mock_resource "aws_autoscaling_group" {
    defaults = { arn = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:x:autoScalingGroupName/x" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
}

variables {
  name       = "confidential-cluster"
  vpc_id     = "vpc-0123456789abcdef0"
  subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]

  instance_type = "m6a.large"
  ami_os        = "amazon-linux-2023"

  min_size         = 2
  max_size         = 5
  desired_capacity = 2

  enable_enclave_mtls        = true
  enclave_security_group_ids = ["sg-0123456789abcdef0"]
  enclave_endpoints          = ["enclave-internal.example.com:3000", "10.0.1.100:3000"]
  mtls_certificate_secrets_arns = [
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:confidential-cluster-mtls-cert-AbCdEf"
  ]
  mtls_certificate_path = "/etc/ecs/mtls"

  container_insights_enabled = true
  enable_managed_scaling     = true

  tags = { Environment = "production" }

  agent_source = { s3 = {
    bucket = "agents"
    key    = "mtls-agent.tar.gz"
    sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  } }
}

run "name_is_ours" {
  command = plan
  variables {
    name = "ecs-cluster"
  }
  expect_failures = [var.name]
}

run "family_without_snp" {
  command = plan
  variables {
    instance_type = "m7i.large"
  }
  expect_failures = [var.instance_type]
}

run "metal" {
  command = plan
  variables {
    instance_type = "m6a.metal"
  }
  expect_failures = [var.instance_type]
}

run "unknown_os" {
  command = plan
  variables {
    ami_os = "windows"
  }
  expect_failures = [var.ami_os]
}

run "no_subnet" {
  command = plan
  variables {
    subnet_ids = []
  }
  expect_failures = [var.subnet_ids]
}

run "endpoint_without_port" {
  command = plan
  variables {
    enclave_endpoints = ["enclave.example.com"]
  }
  expect_failures = [var.enclave_endpoints]
}

run "endpoint_in_plain_http" {
  command = plan
  variables {
    enclave_endpoints = ["http://enclave.example.com:3000"]
  }
  expect_failures = [var.enclave_endpoints]
}

run "endpoint_port_too_large" {
  command = plan
  variables {
    enclave_endpoints = ["enclave.example.com:99999"]
  }
  expect_failures = [var.enclave_endpoints]
}

run "two_unnamed_identities" {
  command = plan
  variables {
    mtls_certificate_secrets_arns = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:one-AbCdEf",
    "arn:aws:secretsmanager:eu-central-1:123456789012:secret:two-AbCdEf"]
  }
  expect_failures = [var.mtls_certificate_secrets_arns]
}

run "secret_by_name" {
  command = plan
  variables {
    mtls_certificate_secrets_arns = ["confidential-cluster-mtls-cert"]
  }
  expect_failures = [var.mtls_certificate_secrets_arns]
}

run "hidden_identity" {
  command = plan
  variables {
    mtls_certificate_secrets_arns = { ".web" = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:one-AbCdEf" }
  }
  expect_failures = [var.mtls_certificate_secrets_arns]
}

run "key_by_alias" {
  command = plan
  variables {
    mtls_kms_key_arns = ["arn:aws:kms:eu-central-1:123456789012:alias/mtls"]
  }
  expect_failures = [var.mtls_kms_key_arns]
}

run "relative_path" {
  command = plan
  variables {
    mtls_certificate_path = "ecs/mtls"
  }
  expect_failures = [var.mtls_certificate_path]
}

run "path_upwards" {
  command = plan
  variables {
    mtls_certificate_path = "/etc/../ecs"
  }
  expect_failures = [var.mtls_certificate_path]
}

run "a_path_that_holds_other_things" {
  command = plan
  variables {
    mtls_certificate_path = "/etc/ecs"
  }
  expect_failures = [var.mtls_certificate_path]
}

run "two_sources" {
  command = plan
  variables {
    agent_source = { preinstalled = true, file = "x" }
  }
  expect_failures = [var.agent_source]
}

run "image_by_tag" {
  command = plan
  variables {
    agent_source = { image = "registry.example.com/mtls-agent:1.0" }
  }
  expect_failures = [var.agent_source]
}

run "short_digest" {
  command = plan
  variables {
    agent_source = { s3 = { bucket = "agents", key = "a.tar.gz", sha256 = "abc" } }
  }
  expect_failures = [var.agent_source]
}

run "dir_by_options" {
  command = plan
  variables {
    agent_options = { dir = "/elsewhere" }
  }
  expect_failures = [var.agent_options]
}

run "line_break_in_options" {
  command = plan
  variables {
    agent_options = { key-mode = "0600\nsecret = x" }
  }
  expect_failures = [var.agent_options]
}

run "unknown_failure" {
  command = plan
  variables {
    on_fetch_failure = "ignore"
  }
  expect_failures = [var.on_fetch_failure]
}

run "small_volume" {
  command = plan
  variables {
    volume_size = 8
  }
  expect_failures = [var.volume_size]
}

run "max_under_min" {
  command = plan
  variables {
    max_size = 1
  }
  expect_failures = [aws_autoscaling_group.this]
}

run "desired_beyond_max" {
  command = plan
  variables {
    desired_capacity = 9
  }
  expect_failures = [aws_autoscaling_group.this]
}

run "no_way_to_names" {
  command = plan
  variables {
    enclave_security_group_ids = []
    enclave_endpoints          = ["enclave-internal.example.com:3000"]
  }
  expect_failures = [aws_security_group.hosts]
}

run "agent_in_a_public_image" {
  command = plan
  variables {
    agent_source = { preinstalled = true }
  }
  expect_failures = [aws_launch_template.this]
}

run "no_archive" {
  command = plan
  variables {
    agent_source = { file = "nowhere.tar.gz" }
  }
  expect_failures = [aws_s3_bucket.agent]
}

run "too_many_endpoints" {
  command = plan
  variables {
    enclave_endpoints = [for i in range(1000) : "enclave-${i}.example.com:3000"]
  }
  expect_failures = [aws_launch_template.this]
}

run "size_without_snp_here" {
  command = plan
  variables {
    instance_type = "m6a.12xlarge"
  }
  expect_failures = [aws_launch_template.this]
}

run "region_without_snp" {
  command = plan
  override_data {
    target = data.aws_ec2_instance_types.sev_snp
    values = { instance_types = [] }
  }
  expect_failures = [aws_launch_template.this]
}

run "image_without_uefi" {
  command = plan
  override_data {
    target = data.aws_ami.image
    values = { boot_mode = "legacy-bios" }
  }
  expect_failures = [aws_launch_template.this]
}
