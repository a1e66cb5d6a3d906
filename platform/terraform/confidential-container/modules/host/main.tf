locals {
  bottlerocket = var.ami_os == "bottlerocket"
  path         = var.mtls_certificate_path != null ? var.mtls_certificate_path : local.bottlerocket ? "/run/mtls-agent" : "/etc/ecs/mtls"

  identities = [for name, arns in var.secrets : {
    name = can(keys(var.secrets)) ? name : ""
    arns = flatten([arns])
  }]
  secrets     = flatten(local.identities[*].arns)
  directories = [for identity in local.identities : identity.name == "" ? local.path : "${local.path}/${identity.name}"]

  # Made from the agent's own table by tools/terraform-options: a pattern of the values of each option.
  options       = jsondecode(file("${path.module}/options.json"))
  wrong_options = [for name, value in var.agent_options : name if !can(regex(local.options[name], value))]
  unit_options  = local.bottlerocket ? [] : setintersection(keys(var.agent_options), ["log-file", "metrics-file"])

  # The file that the agent reads: /etc/mtls-agent/agent.conf, or Bottlerocket's user data of the bootstrap container.
  config = join("\n", concat(
    ["# Written by Terraform."],
    local.bottlerocket ? ["command = fetch", "root = /.bottlerocket/rootfs", "memory-lock = prefer"] : [],
    ["dir = ${local.path}"],
    flatten([for identity in local.identities : [
      for arn in identity.arns : "secret = ${identity.name == "" ? "" : "${identity.name}="}${arn}"
    ]]),
    [for endpoint in var.endpoints : "endpoint = ${endpoint}"],
    [for name, value in var.agent_options : "${name} = ${value}"],
    [""],
  ))
}
