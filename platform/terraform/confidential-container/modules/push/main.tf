# New versions of secrets reach hosts within minutes: EventBridge has Run Command tell the agents to look. Best effort: the agents
# look by themselves, too.
data "aws_partition" "this" {}

data "aws_region" "this" {}

data "aws_caller_identity" "this" {}

locals {
  # An ARN without the six characters that Secrets Manager adds: they follow, whatever they are.
  secrets = [for arn in var.secrets : [{ wildcard = can(regex("-[A-Za-z0-9]{6}$", arn)) ? arn : "${arn}-*" }]]

  # A new version is current when its label moves, which is one event, and by what calls and rotations do, which CloudTrail tells
  # where the account has a trail. A rotation's PutSecretValue makes AWSPENDING alone: too early to look. A pattern for each secret,
  # as EventBridge takes no more than 2048 characters.
  event_patterns = [for secret in local.secrets : jsonencode({
    source = ["aws.secretsmanager"]
    "$or" = [
      { detail-type = ["Secret Label Updated"], resources = secret },
      { detail = {
        errorCode = [{ exists = false }]
        "$or" = concat(
          [{ eventName = ["RotationSucceeded"], additionalEventData = { SecretId = secret } }],
          flatten([for elements in [{ arn = secret }, { aRN = secret }] : [
            {
              eventName         = ["UpdateSecretVersionStage", "UpdateSecret", "PutSecretValue"]
              requestParameters = { versionStages = [{ exists = false }] }
              responseElements  = elements
            },
            {
              eventName         = ["PutSecretValue"]
              requestParameters = { versionStages = ["AWSCURRENT"] }
              responseElements  = elements
            },
          ]])
        )
      } },
    ]
  })]

  # One command, without parameters. SIGUSR2 has the agent look soon, drawn by chance, in waves, and with what is known of bad
  # versions. (SIGHUP forgets those.) To the agent alone, not to a hook of its; and to the agents of daemon services.
  document = jsonencode({
    schemaVersion = "2.2"
    description   = "mtls-agent looks at its secrets now"
    mainSteps = [{
      action       = "aws:runShellScript"
      name         = "look"
      precondition = { StringEquals = ["platformType", "Linux"] }
      inputs = {
        timeoutSeconds = "60"
        runCommand     = split("\n", trimspace(file("${path.module}/look.sh")))
      }
    }]
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ThisDocument"
        Effect   = "Allow"
        Action   = "ssm:SendCommand"
        Resource = "arn:${data.aws_partition.this.partition}:ssm:${data.aws_region.this.region}:${data.aws_caller_identity.this.account_id}:document/${local.document_name}"
      },
      {
        Sid       = "TheseInstances"
        Effect    = "Allow"
        Action    = "ssm:SendCommand"
        Resource  = "arn:${data.aws_partition.this.partition}:ec2:${data.aws_region.this.region}:${data.aws_caller_identity.this.account_id}:instance/*"
        Condition = { StringEquals = { "ssm:resourceTag/${var.instance_tag.key}" = var.instance_tag.value } }
      },
    ]
  })

  document_name = "${var.name}-mtls-agent-look"
}

resource "aws_ssm_document" "this" {
  name            = local.document_name
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"
  content         = local.document
  tags            = var.tags
}

resource "aws_cloudwatch_event_rule" "this" {
  count = length(var.secrets)

  name          = "${var.name}-mtls-agent-${count.index}"
  description   = "A secret of mtls-agent has a new current version"
  event_pattern = local.event_patterns[count.index]
  tags          = var.tags
}

resource "aws_iam_role" "this" {
  name_prefix = substr("${var.name}-push-", 0, 38)
  description = "EventBridge tells hosts to look at their secrets"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
        ArnEquals    = { "aws:SourceArn" = aws_cloudwatch_event_rule.this[*].arn }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name_prefix = "mtls-agent-"
  role        = aws_iam_role.this.name
  policy      = local.policy
}

# The event itself stays here: a document without parameters gets none.
resource "aws_cloudwatch_event_target" "this" {
  count = length(var.secrets)

  rule     = aws_cloudwatch_event_rule.this[count.index].name
  arn      = aws_ssm_document.this.arn
  role_arn = aws_iam_role.this.arn
  input    = jsonencode({})

  run_command_targets {
    key    = "tag:${var.instance_tag.key}"
    values = [var.instance_tag.value]
  }
}
