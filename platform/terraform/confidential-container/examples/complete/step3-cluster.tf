module "confidential_cluster" {
  source = "../.."

  name       = "confidential-cluster"
  vpc_id     = var.vpc_id
  subnet_ids = var.private_subnet_ids

  instance_type = "m6a.large"
  ami_os        = "amazon-linux-2023"

  min_size         = 2
  max_size         = 5
  desired_capacity = 2

  enable_enclave_mtls           = true
  enclave_security_group_ids    = [data.aws_security_group.enclave.id]
  enclave_endpoints             = var.enclave_endpoints
  mtls_certificate_secrets_arns = [aws_secretsmanager_secret.mtls_cert.arn]
  mtls_certificate_path         = "/etc/ecs/mtls"

  container_insights_enabled = true
  enable_managed_scaling     = true

  tags = {
    Environment = "production"
    Purpose     = "confidential-computing"
  }
}
