# All that the module is told is made by the same apply, as far as it can be.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "private" {
  count = 2

  vpc_id     = aws_vpc.this.id
  cidr_block = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
}

resource "aws_security_group" "enclave" {
  vpc_id = aws_vpc.this.id
}

resource "aws_lb" "enclave" {
  load_balancer_type = "network"
  subnets            = aws_subnet.private[*].id
}

resource "aws_kms_key" "this" {}

resource "aws_secretsmanager_secret" "identity" {
  for_each = toset(["web", "batch"])

  kms_key_id = aws_kms_key.this.arn
}

module "confidential_cluster" {
  source = "../.."

  name       = "confidential-cluster"
  vpc_id     = aws_vpc.this.id
  subnet_ids = aws_subnet.private[*].id

  enable_enclave_mtls           = true
  manage_enclave_ingress        = true
  enclave_security_group_ids    = [aws_security_group.enclave.id]
  enclave_endpoints             = ["${aws_lb.enclave.dns_name}:3000"]
  enclave_ports                 = [3000]
  mtls_certificate_secrets_arns = { for name, secret in aws_secretsmanager_secret.identity : name => secret.arn }
  mtls_kms_key_arns             = [aws_kms_key.this.arn]
}

# The enclave's side in the older form, which many have.
resource "aws_security_group_rule" "enclave_from_ecs" {
  type                     = "ingress"
  from_port                = 3000
  to_port                  = 3000
  protocol                 = "tcp"
  source_security_group_id = module.confidential_cluster.security_group_id
  security_group_id        = aws_security_group.enclave.id
}
