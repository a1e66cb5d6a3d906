# The enclave's side. manage_enclave_ingress = true of the module does the same for every endpoint's port.
resource "aws_vpc_security_group_ingress_rule" "enclave_from_ecs" {
  security_group_id            = data.aws_security_group.enclave.id
  description                  = "Mutual TLS from the ECS cluster"
  ip_protocol                  = "tcp"
  from_port                    = 3000
  to_port                      = 3000
  referenced_security_group_id = module.confidential_cluster.security_group_id
}
