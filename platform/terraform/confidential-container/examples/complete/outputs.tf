output "cluster" {
  description = "The cluster's name"
  value       = module.confidential_cluster.cluster_name
}

output "host_log" {
  description = "Step 7: shows what the agent did on a host"
  value       = "aws ssm start-session --target INSTANCE, then: sudo mtls-agent inspect; sudo tail /var/log/ecs-init.log"
}
