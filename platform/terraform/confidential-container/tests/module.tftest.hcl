# Without AWS: `terraform test` or `tofu test`.
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

# The inputs of the document that users come from, word for word.
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

run "hosts" {
  command = plan

  assert {
    condition     = aws_launch_template.this.cpu_options[0].amd_sev_snp == "enabled"
    error_message = "SEV-SNP is off"
  }
  assert {
    condition = (aws_launch_template.this.metadata_options[0].http_tokens == "required"
    && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1)
    error_message = "instance metadata is open to version 1, or to containers"
  }
  assert {
    condition     = alltrue([for volume in aws_launch_template.this.block_device_mappings : tobool(volume.ebs[0].encrypted)])
    error_message = "a volume is not encrypted"
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.this.user_data), "ECS_AWSVPC_BLOCK_IMDS=true")
    error_message = "tasks can reach instance metadata"
  }
  assert {
    condition     = aws_launch_template.this.instance_initiated_shutdown_behavior == "terminate"
    error_message = "a host that powers off stays"
  }
  assert {
    condition = (aws_autoscaling_group.this.min_size == 2 && aws_autoscaling_group.this.max_size == 5
    && aws_autoscaling_group.this.protect_from_scale_in)
    error_message = "the group is not as large as asked for, or ECS cannot protect hosts with tasks"
  }
  assert {
    condition     = contains([for tag in aws_autoscaling_group.this.tag : tag.key], "AmazonECSManaged")
    error_message = "ECS cannot manage a group without its tag"
  }
  assert {
    condition     = aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_scaling[0].status == "ENABLED"
    error_message = "managed scaling is off"
  }
  assert {
    condition     = [for setting in aws_ecs_cluster.this.setting : setting.value] == ["enabled"]
    error_message = "Container Insights is off"
  }
  assert {
    condition     = output.mtls_certificate_path == "/etc/ecs/mtls" && output.cluster_name == "confidential-cluster"
    error_message = "the outputs are not what tasks need"
  }
}

run "network" {
  command = plan

  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.enclave) == ["0-3000"]
    error_message = "one group and one port is one rule"
  }
  assert {
    condition = (aws_vpc_security_group_egress_rule.enclave["0-3000"].referenced_security_group_id == "sg-0123456789abcdef0"
    && aws_vpc_security_group_egress_rule.enclave["0-3000"].to_port == 3000)
    error_message = "not to the enclave, or not to its port"
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.enclave_network) == 0
    error_message = "where a group stands for the enclaves, addresses are not let out to"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.dns : rule.cidr_ipv4 == "10.0.0.0/16" && rule.to_port == 53])
    error_message = "names are asked of the VPC"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.https : rule.from_port == 443 && rule.to_port == 443])
    error_message = "more than port 443 is open"
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.enclave) == 0 && length(aws_vpc_security_group_egress_rule.packages) == 0
    error_message = "a rule that nobody asked for"
  }
}

run "enclave_ingress" {
  command = plan
  variables {
    manage_enclave_ingress = true
    enclave_endpoints      = ["a.example.com:3000", "https://b.example.com/ready", "https://c.example.com:3000/x", "d@[fd00::10]:4000"]
  }
  assert {
    condition     = sort(keys(aws_vpc_security_group_ingress_rule.enclave)) == sort(["0-3000", "0-443", "0-4000"])
    error_message = "one rule for each port"
  }
}

run "enclave_addresses" {
  command = plan
  variables {
    enclave_security_group_ids = []
    enclave_endpoints          = ["10.0.1.100:3000", "name@127.0.0.1:3000", "[fd00::10]:3000"]
    enclave_cidr_blocks        = ["10.9.0.0/24"]
  }
  assert {
    condition = sort(keys(aws_vpc_security_group_egress_rule.enclave_network)) == sort([
      "10.0.1.100/32-3000", "fd00::10/128-3000", "10.9.0.0/24-3000"
    ])
    error_message = "addresses that endpoints name, and no loopback"
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.enclave_network["fd00::10/128-3000"].cidr_ipv6 == "fd00::10/128"
    error_message = "IPv6 is not a cidr_ipv4"
  }
}

run "ports_not_known_before_apply" {
  command = plan
  variables {
    enclave_ports = [4000]
  }
  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.enclave) == ["0-4000"]
    error_message = "enclave_ports are not taken"
  }
}

run "no_enclave" {
  command = plan
  variables {
    enable_enclave_mtls           = false
    mtls_certificate_secrets_arns = []
    enclave_endpoints             = []
    enclave_security_group_ids    = []
    agent_source                  = null
  }
  assert {
    condition     = length(aws_iam_role_policy.host) == 0 && output.task_role_policy_document == null
    error_message = "rights that nobody asked for"
  }
  assert {
    condition     = !strcontains(base64decode(aws_launch_template.this.user_data), "mtls-agent")
    error_message = "an agent that nobody asked for"
  }
}

run "fixed_size" {
  command = plan
  variables {
    enable_managed_scaling = false
    desired_capacity       = 3
  }
  assert {
    condition = (aws_autoscaling_group.this.desired_capacity == 3 && !aws_autoscaling_group.this.protect_from_scale_in
    && aws_ecs_capacity_provider.this.auto_scaling_group_provider[0].managed_termination_protection == "DISABLED")
    error_message = "desired_capacity counts where managed scaling is off"
  }
}

run "own_image_has_the_agent" {
  command = plan
  variables {
    ami_id       = "ami-0fedcba9876543210"
    agent_source = null
  }
  assert {
    condition     = aws_launch_template.this.image_id == "ami-0fedcba9876543210" && length(aws_s3_bucket.agent) == 0
    error_message = "the image is another one, or the agent is brought to where it is"
  }
}

run "file_goes_to_a_bucket" {
  command = apply
  variables {
    agent_source = { file = "tests/archive.txt" }
  }
  assert {
    condition     = strcontains(aws_s3_object.agent[0].key, filesha256("tests/archive.txt"))
    error_message = "an archive of another content is another object"
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.this.user_data), filesha256("tests/archive.txt"))
    error_message = "hosts do not check it"
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.agent[0].restrict_public_buckets
    error_message = "the bucket is open"
  }
}

run "bottlerocket" {
  command = plan
  variables {
    ami_os                = "bottlerocket"
    mtls_certificate_path = null
    agent_source          = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mtls-agent@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
  assert {
    condition     = output.mtls_certificate_path == "/run/mtls-agent"
    error_message = "nothing can write to /etc there"
  }
  assert {
    condition = (length(aws_launch_template.this.block_device_mappings) == 2
    && alltrue([for volume in aws_launch_template.this.block_device_mappings : tobool(volume.ebs[0].encrypted)]))
    error_message = "Bottlerocket has two volumes, both encrypted"
  }
}

run "ubuntu_has_packages" {
  command = plan
  variables {
    ami_os = "ubuntu"
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.packages) == 1
    error_message = "Canonical's image cannot get Docker"
  }
}

run "push_is_off" {
  command = plan

  assert {
    condition     = length(module.push) == 0
    error_message = "rules that nobody asked for"
  }
}

run "push" {
  command = plan
  variables {
    push_rotations = true
    mtls_certificate_secrets_arns = {
      web   = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:web-AbCdEf"
      batch = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:one-AbCdEf", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:two"]
    }
  }

  assert {
    condition     = length(module.push[0].event_patterns) == 3
    error_message = "not a pattern for each secret"
  }
}
