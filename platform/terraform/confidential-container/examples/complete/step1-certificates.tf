# The secret has one identity: certificate, key and CA. The value is write-only: it is sent to AWS, and neither the plan nor
# the state has it. With secret_string instead, the private key would stand in the state in plain text.
resource "aws_secretsmanager_secret" "mtls_cert" {
  name        = "confidential-cluster-mtls-cert"
  description = "Client certificate of the ECS hosts, for the enclave"
}

resource "aws_secretsmanager_secret_version" "mtls_cert" {
  secret_id = aws_secretsmanager_secret.mtls_cert.id

  secret_string_wo = jsonencode({
    client_cert = file("${path.module}/certs/client.crt")
    client_key  = file("${path.module}/certs/client.key")
    ca_cert     = file("${path.module}/certs/ca.crt")
  })
  secret_string_wo_version = var.identity_version
}
