output "security_group_id" {
  description = "Security group of the hosts: let it in at the enclave"
  value       = aws_security_group.hosts.id
}

output "cluster_name" {
  description = "Name of the ECS cluster"
  value       = aws_ecs_cluster.this.name
  depends_on  = [aws_ecs_cluster_capacity_providers.this] # services want it
}

output "cluster_arn" {
  description = "ARN of the ECS cluster"
  value       = aws_ecs_cluster.this.arn
  depends_on  = [aws_ecs_cluster_capacity_providers.this] # services want it
}

output "capacity_provider_name" {
  description = "Capacity provider, the cluster's default: services need not name it"
  value       = aws_ecs_capacity_provider.this.name
}

output "autoscaling_group_name" {
  description = "Auto Scaling group of the hosts"
  value       = aws_autoscaling_group.this.name
}

output "instance_role_name" {
  description = "Role of the hosts"
  value       = aws_iam_role.host.name
}

output "instance_role_arn" {
  description = "ARN of the hosts' role, for the key policy of a KMS key"
  value       = aws_iam_role.host.arn
}

output "task_role_policy_document" {
  description = "Policy in JSON for task roles of tasks that run the agent themselves; null without enable_enclave_mtls"
  value       = module.host.task_role_policy_document
}

output "mtls_certificate_path" {
  description = "Directory on the hosts that tasks mount, read-only"
  value       = module.host.mtls_certificate_path
}
