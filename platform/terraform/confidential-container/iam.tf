data "aws_partition" "this" {}

data "aws_region" "this" {}

resource "aws_iam_role" "host" {
  name_prefix = substr("${var.name}-host-", 0, 38)
  description = "Hosts of the ECS cluster ${var.name}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.${data.aws_partition.this.dns_suffix}" }
    }]
  })
}

resource "aws_iam_instance_profile" "host" {
  name_prefix = substr("${var.name}-host-", 0, 38)
  role        = aws_iam_role.host.name
  tags        = var.tags
}

# ECS itself, and a shell by `aws ssm start-session` instead of SSH.
resource "aws_iam_role_policy_attachment" "host" {
  for_each = toset(["service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore"])

  role       = aws_iam_role.host.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/${each.key}"
}

resource "aws_iam_role_policy" "host" {
  count = var.enable_enclave_mtls ? 1 : 0

  name_prefix = "mtls-agent-"
  role        = aws_iam_role.host.name
  policy      = module.host.instance_policy
}
