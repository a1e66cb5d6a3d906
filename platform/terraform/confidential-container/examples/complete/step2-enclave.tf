data "aws_security_group" "enclave" {
  name   = var.enclave_security_group_name
  vpc_id = var.vpc_id
}
