locals {
  # What `make host-archive` has made in the checkout that this module is in.
  archive = abspath("${path.module}/../../../build/mtls-agent-host.tar.gz")

  agent_source = var.agent_source != null ? var.agent_source : {
    s3           = null
    file         = var.ami_id == null && var.ami_os != "bottlerocket" ? local.archive : null
    image        = null
    preinstalled = var.ami_id != null
  }
  upload = var.enable_enclave_mtls && local.agent_source.file != null

  archive_sha256 = local.upload && fileexists(coalesce(local.agent_source.file, "-")) ? filesha256(local.agent_source.file) : null
}

resource "aws_s3_bucket" "agent" {
  count = local.upload ? 1 : 0

  bucket_prefix = "${lower(replace(substr(var.name, 0, 24), "_", "-"))}-agent-"
  force_destroy = true
  tags          = var.tags

  lifecycle {
    precondition {
      condition     = local.archive_sha256 != null
      error_message = "There is no ${coalesce(local.agent_source.file, "-")}: `make host-archive` makes it; or set agent_source, or ami_id of an image that has the agent."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "agent" {
  count = local.upload ? 1 : 0

  bucket                  = aws_s3_bucket.agent[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "agent" {
  count = local.upload ? 1 : 0

  bucket      = aws_s3_bucket.agent[0].id
  key         = "mtls-agent-${coalesce(local.archive_sha256, "none")}.tar.gz"
  source      = local.agent_source.file
  source_hash = local.archive_sha256
  tags        = var.tags
}

module "host" {
  source = "./modules/host"

  cluster               = aws_ecs_cluster.this.name
  ami_os                = var.ami_os
  enable_enclave_mtls   = var.enable_enclave_mtls
  secrets               = var.mtls_certificate_secrets_arns
  kms_key_arns          = var.mtls_kms_key_arns
  endpoints             = var.enclave_endpoints
  mtls_certificate_path = var.mtls_certificate_path
  agent_options         = var.agent_options
  log_group_name        = var.log_group_name
  on_fetch_failure      = var.on_fetch_failure
  partition             = data.aws_partition.this.partition
  dns_suffix            = data.aws_partition.this.dns_suffix
  region                = data.aws_region.this.region

  agent_source = {
    image = local.agent_source.image
    s3 = local.upload ? {
      bucket = aws_s3_bucket.agent[0].id
      key    = aws_s3_object.agent[0].key
      sha256 = local.archive_sha256
      region = null
    } : local.agent_source.s3
  }
}
