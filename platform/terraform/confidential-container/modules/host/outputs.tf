output "user_data" {
  description = "User data, not encoded"
  value       = local.bottlerocket ? local.bottlerocket_user_data : local.linux_user_data

  precondition {
    condition     = !var.enable_enclave_mtls || length(local.secrets) > 0
    error_message = "enable_enclave_mtls needs a secret: mtls_certificate_secrets_arns is empty."
  }

  precondition {
    condition = length(local.wrong_options) == 0
    error_message = join(" ", [for name in local.wrong_options : contains(keys(local.options), name)
      ? "agent_options: ${name} cannot be \"${var.agent_options[name]}\", which is not of the form ${local.options[name]}."
      : "agent_options: the agent has no option ${name} for its file; docs/configuration.md lists them all."
    ])
  }

  precondition {
    condition     = length(local.unit_options) == 0
    error_message = "agent_options: ${join(" and ", local.unit_options)} would have no effect, since the host's systemd units say where log and metrics go."
  }

  precondition {
    condition     = !local.bottlerocket || !startswith("${local.path}/", "/etc/")
    error_message = "Nothing can write to /etc on Bottlerocket: mtls_certificate_path lies below /run (gone with a reboot, on no disk), or below /var/lib."
  }

  precondition {
    condition     = !var.enable_enclave_mtls || (var.agent_source.image != null) == local.bottlerocket
    error_message = "agent_source.image is for Bottlerocket, whose hosts run nothing else; there it is needed. Amazon Linux and Ubuntu run the agent from systemd: s3, file or preinstalled."
  }

  precondition {
    condition     = !local.bottlerocket || var.on_fetch_failure == "keep"
    error_message = "Bottlerocket halts its boot where the identity fails, and cannot be told to power off: on_fetch_failure = \"keep\"."
  }

  precondition {
    condition     = !local.bottlerocket || var.log_group_name == null
    error_message = "A Bottlerocket bootstrap container logs to the host's journal and console only: leave log_group_name out."
  }
}

output "config" {
  description = "The agent's configuration file"
  value       = local.config
}

output "instance_policy" {
  description = "Policy in JSON for the instance role; null without an identity"
  value = var.enable_enclave_mtls ? jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.read_identity, local.decrypt_identity, local.get_agent, local.write_log)
  }) : null
}

output "task_role_policy_document" {
  description = "Policy in JSON for task roles; null without an identity"
  value = var.enable_enclave_mtls ? jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.read_identity, local.decrypt_identity)
  }) : null
}

output "mtls_certificate_path" {
  description = "Directory on the host"
  value       = local.path
}
