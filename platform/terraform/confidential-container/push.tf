module "push" {
  source = "./modules/push"
  count  = var.enable_enclave_mtls && var.push_rotations ? 1 : 0

  name         = var.name
  secrets      = flatten([for identity in var.mtls_certificate_secrets_arns : identity])
  instance_tag = { key = "mtls-agent", value = var.name }
  tags         = var.tags
}
