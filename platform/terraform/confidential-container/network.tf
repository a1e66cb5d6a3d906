# Rules are keyed by place, not by id: ids may be known only after apply.
locals {
  endpoint_hosts = [for endpoint in var.enclave_endpoints : regex(
    "^(?:https://)?(?:[^@/]+@)?(\\[[^\\]]+\\]|[^:/]+)", endpoint
  )[0]]
  endpoint_ports = [for endpoint in var.enclave_endpoints : try(tonumber(regex(":([0-9]+)(?:/|$)", endpoint)[0]), 443)]
  enclave_ports  = !var.enable_enclave_mtls ? [] : var.enclave_ports != null ? var.enclave_ports : distinct(local.endpoint_ports)

  # Where no group stands for the enclaves, their addresses do.
  enclave_addresses = length(var.enclave_security_group_ids) > 0 ? [] : distinct([
    for host in local.endpoint_hosts : strcontains(host, ":") ? "${trim(host, "[]")}/128" : "${host}/32"
    if can(regex("^(\\[.*\\]|[0-9.]+)$", host)) && !can(regex("^(127\\.|\\[::1\\])", host))
  ])

  enclave_groups = merge([for port in local.enclave_ports : {
    for i, group in var.enclave_security_group_ids : "${i}-${port}" => { group = group, port = port }
  }]...)
  enclave_networks = merge([for port in local.enclave_ports : {
    for block in concat(var.enclave_cidr_blocks, local.enclave_addresses) : "${block}-${port}" => { block = block, port = port }
  }]...)
}

data "aws_vpc" "this" {
  id = var.vpc_id
}

resource "aws_security_group" "hosts" {
  name_prefix = "${var.name}-hosts-"
  description = "Hosts of the ECS cluster ${var.name}: no way in, few ways out"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-hosts" })

  lifecycle {
    create_before_destroy = true

    precondition {
      condition = !var.enable_enclave_mtls || length(var.enclave_endpoints) == 0 || length(concat(
        var.enclave_security_group_ids, var.enclave_cidr_blocks, local.enclave_addresses
      )) > 0
      error_message = "No rule would let hosts reach the endpoints, which have names only: give enclave_security_group_ids or enclave_cidr_blocks."
    }
  }
}

resource "aws_vpc_security_group_egress_rule" "enclave" {
  for_each = local.enclave_groups

  security_group_id            = aws_security_group.hosts.id
  description                  = "Enclaves, mutual TLS"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.group
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "enclave_network" {
  for_each = local.enclave_networks

  security_group_id = aws_security_group.hosts.id
  description       = "Enclaves, mutual TLS"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = strcontains(each.value.block, ":") ? null : each.value.block
  cidr_ipv6         = strcontains(each.value.block, ":") ? each.value.block : null
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "enclave" {
  for_each = var.manage_enclave_ingress ? local.enclave_groups : {}

  security_group_id            = each.value.group
  description                  = "Hosts of the ECS cluster ${var.name}, mutual TLS"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.hosts.id
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = { for i, block in var.https_cidr_blocks : tostring(i) => block }

  security_group_id = aws_security_group.hosts.id
  description       = "AWS and registries"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = strcontains(each.value, ":") ? null : each.value
  cidr_ipv6         = strcontains(each.value, ":") ? each.value : null
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https_prefix_list" {
  for_each = { for i, id in var.https_prefix_list_ids : tostring(i) => id }

  security_group_id = aws_security_group.hosts.id
  description       = "AWS by a gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = each.value
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https_group" {
  for_each = { for i, id in var.https_security_group_ids : tostring(i) => id }

  security_group_id            = aws_security_group.hosts.id
  description                  = "AWS by an interface endpoint"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = each.value
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "dns" {
  for_each = toset(["tcp", "udp"])

  security_group_id = aws_security_group.hosts.id
  description       = "Names"
  ip_protocol       = each.key
  from_port         = 53
  to_port           = 53
  cidr_ipv4         = var.dns_cidr_block != null ? var.dns_cidr_block : data.aws_vpc.this.cidr_block
  tags              = var.tags
}

# Ubuntu's packages are signed and come by plain HTTP. An image of your own has what it needs.
resource "aws_vpc_security_group_egress_rule" "packages" {
  count = var.ami_os == "ubuntu" && var.ami_id == null ? 1 : 0

  security_group_id = aws_security_group.hosts.id
  description       = "Packages of Ubuntu"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}
