output "event_patterns" {
  description = "Events that reach the hosts, as JSON, a pattern for each secret"
  value       = local.event_patterns
}

output "document_name" {
  description = "SSM document that tells the agents of a host to look at the secret"
  value       = aws_ssm_document.this.name
}

output "document" {
  description = "That document, as JSON"
  value       = local.document
}

output "policy" {
  description = "What EventBridge may do: send that document to instances of that tag"
  value       = local.policy
}
