# Step 5 is the application's: platform/clients shows it in six languages.
resource "aws_ecs_task_definition" "app" {
  family = "confidential-app"

  container_definitions = jsonencode([{
    name      = "app"
    image     = var.app_image
    essential = true
    memory    = 512
    mountPoints = [{
      sourceVolume  = "mtls-certs"
      containerPath = "/etc/ecs/mtls"
      readOnly      = true
    }]
    environment = [{
      name  = "ENCLAVE_ENDPOINT"
      value = "https://${var.enclave_endpoints[0]}"
    }]
  }])

  volume {
    name      = "mtls-certs"
    host_path = module.confidential_cluster.mtls_certificate_path
  }
}

resource "aws_ecs_service" "app" {
  name            = "confidential-app"
  cluster         = module.confidential_cluster.cluster_arn
  task_definition = aws_ecs_task_definition.app.arn
  desired_count   = 2
}
