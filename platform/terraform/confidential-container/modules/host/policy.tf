locals {
  # Replicas, where the agent asks them: the same ARNs, with another Region.
  fallback_regions = compact([for region in split(",", lookup(var.agent_options, "fallback-region", "")) : trimspace(region)])
  readable_secrets = concat(local.secrets, flatten([for region in local.fallback_regions : [
    for arn in local.secrets : join(":", concat(slice(split(":", arn), 0, 3), [region], slice(split(":", arn), 4, 7)))
  ]]))

  # An ARN without the six characters that Secrets Manager adds is the name of a secret: they follow, whatever they are.
  secret_resources = distinct([
    for arn in local.readable_secrets : can(regex("-[A-Za-z0-9]{6}$", arn)) ? arn : "${arn}-??????"
  ])
  secret_regions = distinct([for arn in local.readable_secrets : split(":", arn)[3]])

  read_identity = [
    for resources in [local.secret_resources] : {
      Sid      = "ReadIdentity"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
      Resource = resources
    } if length(local.secrets) > 0
  ]

  # The key opens these secrets, by way of Secrets Manager, and nothing else.
  decrypt_identity = [
    for keys in [var.kms_key_arns] : {
      Sid      = "DecryptIdentity"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = keys
      Condition = {
        StringEquals = { "kms:ViaService" = distinct(flatten([for region in local.secret_regions : [
          "secretsmanager.${region}.amazonaws.com", "secretsmanager.${region}.${var.dns_suffix}"
        ]])) }
        StringLike = { "kms:EncryptionContext:SecretARN" = local.secret_resources }
      }
    } if length(keys) > 0 && length(local.secrets) > 0
  ]

  get_agent = [
    for source in var.agent_source.s3[*] : {
      Sid      = "GetAgent"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${var.partition}:s3:::${source.bucket}/${source.key}"
    }
  ]

  write_log = [
    for group in var.log_group_name[*] : {
      Sid      = "WriteLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "arn:${var.partition}:logs:${var.region}:*:log-group:${group}:*"
    }
  ]
}
