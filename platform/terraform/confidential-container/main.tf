locals {
  public_image = {
    amazon-linux-2023 = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    ubuntu            = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    bottlerocket      = "/aws/service/bottlerocket/aws-ecs-2/x86_64/latest/image_id"
  }
  # The volume that holds images and containers, and the others that an image has.
  data_volume   = { amazon-linux-2023 = "/dev/xvda", ubuntu = "/dev/sda1", bottlerocket = "/dev/xvdb" }
  image_id      = var.ami_id != null ? var.ami_id : data.aws_ssm_parameter.image[0].insecure_value
  sev_snp_types = sort(data.aws_ec2_instance_types.sev_snp.instance_types)
  other_volumes = { amazon-linux-2023 = [], ubuntu = [], bottlerocket = ["/dev/xvda"] }
}

# What has AMD SEV-SNP in this Region; in most Regions that is nothing.
data "aws_ec2_instance_types" "sev_snp" {
  filter {
    name   = "processor-info.supported-features"
    values = ["amd-sev-snp"]
  }
}

data "aws_ami" "image" {
  include_deprecated = true # it may be pinned

  filter {
    name   = "image-id"
    values = [local.image_id]
  }
}

data "aws_ssm_parameter" "image" {
  count = var.ami_id == null ? 1 : 0

  name = local.public_image[var.ami_os]
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.name}-"
  description            = "Hosts of the ECS cluster ${var.name}"
  image_id               = local.image_id
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.hosts.id]
  user_data              = base64encode(module.host.user_data)
  update_default_version = true
  tags                   = var.tags

  # A host that powers itself off is gone, and another one comes.
  instance_initiated_shutdown_behavior = "terminate"

  cpu_options {
    amd_sev_snp = "enabled"
  }

  # Version 2 only, and not for containers: a token's answer does not live for a second hop.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  iam_instance_profile {
    arn = aws_iam_instance_profile.host.arn
  }

  block_device_mappings {
    device_name = local.data_volume[var.ami_os]

    ebs {
      volume_type           = "gp3"
      volume_size           = var.volume_size
      encrypted             = true
      kms_key_id            = var.volume_kms_key_id
      delete_on_termination = true
    }
  }

  dynamic "block_device_mappings" {
    for_each = local.other_volumes[var.ami_os]

    content {
      device_name = block_device_mappings.value

      ebs {
        volume_type           = "gp3"
        encrypted             = true
        kms_key_id            = var.volume_kms_key_id
        delete_on_termination = true
      }
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = var.name })
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition = contains(local.sev_snp_types, var.instance_type)
      error_message = length(local.sev_snp_types) == 0 ? (
        "The Region ${data.aws_region.this.region} has no instance type with AMD SEV-SNP: take another one, such as us-east-2 or eu-west-1."
      ) : "${var.instance_type} has no AMD SEV-SNP in ${data.aws_region.this.region}. These have: ${join(", ", local.sev_snp_types)}."
    }

    precondition {
      condition     = contains(["uefi", "uefi-preferred"], data.aws_ami.image.boot_mode)
      error_message = "The image ${local.image_id} does not say that it boots by UEFI (boot mode uefi or uefi-preferred), which AMD SEV-SNP needs."
    }

    precondition {
      condition     = var.ami_id != null || try(var.agent_source.preinstalled, null) != true
      error_message = "agent_source.preinstalled needs ami_id: the public images do not have the agent."
    }

    precondition {
      condition     = length(module.host.user_data) <= 16384
      error_message = "User data has more than the 16 KiB that EC2 takes: fewer endpoints or secrets."
    }
  }
}

resource "aws_autoscaling_group" "this" {
  name_prefix           = "${var.name}-"
  min_size              = var.min_size
  max_size              = var.max_size
  desired_capacity      = var.enable_managed_scaling ? null : var.desired_capacity
  vpc_zone_identifier   = var.subnet_ids
  health_check_type     = "EC2"
  protect_from_scale_in = var.enable_managed_scaling # ECS takes hosts away, once their tasks are
  force_delete          = true                       # or `destroy` would wait for those

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name, AmazonECSManaged = "true", mtls-agent = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  # A host needs all of this from its first second.
  depends_on = [
    aws_iam_role_policy.host,
    aws_iam_role_policy_attachment.host,
    aws_vpc_security_group_egress_rule.dns,
    aws_vpc_security_group_egress_rule.enclave,
    aws_vpc_security_group_egress_rule.enclave_network,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.https_group,
    aws_vpc_security_group_egress_rule.https_prefix_list,
    aws_vpc_security_group_egress_rule.packages,
    aws_vpc_security_group_ingress_rule.enclave,
  ]

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = var.min_size <= var.max_size && var.max_size >= 1
      error_message = "max_size is 1 or more, and not under min_size."
    }

    precondition {
      condition     = var.desired_capacity == null ? true : var.min_size <= var.desired_capacity && var.desired_capacity <= var.max_size
      error_message = "desired_capacity lies between min_size and max_size."
    }
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = var.container_insights_enabled ? "enabled" : "disabled"
  }
}

resource "aws_ecs_capacity_provider" "this" {
  name = var.name
  tags = var.tags

  auto_scaling_group_provider {
    auto_scaling_group_arn         = aws_autoscaling_group.this.arn
    managed_draining               = "ENABLED"
    managed_termination_protection = var.enable_managed_scaling ? "ENABLED" : "DISABLED"

    managed_scaling {
      status          = var.enable_managed_scaling ? "ENABLED" : "DISABLED"
      target_capacity = 100
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = [aws_ecs_capacity_provider.this.name]

  default_capacity_provider_strategy {
    capacity_provider = aws_ecs_capacity_provider.this.name
    base              = 0
    weight            = 1
  }
}
