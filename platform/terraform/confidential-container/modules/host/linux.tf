locals {
  ecs_config = <<-EOT
    ECS_CLUSTER=${var.cluster}
    ECS_AWSVPC_BLOCK_IMDS=true
    ECS_ENABLE_TASK_IAM_ROLE=true
    ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true
  EOT

  # Fingerprints of the keys of Amazon ECS and of the CloudWatch agent, as AWS's guides tell them.
  ecs_key  = "F34C3DDAE72926B079BEAEC6BCE9D9A42D51784F"
  logs_key = "937616F3450B7D806CBD9725D58167303B789C72"

  # On the first boot ecs.service waits in systemd's queue before this file is there: only the assertion is still looked at.
  ecs_drop_in = <<-EOT
    # No identity, no tasks.
    [Unit]
    Requires=mtls-agent-fetch.service
    After=mtls-agent-fetch.service
    ${join("\n", [for directory in local.directories : "AssertPathExists=${directory}/..data"])}
  EOT

  poweroff_drop_in = <<-EOT
    [Unit]
    FailureAction=poweroff
    [Service]
    Restart=no
  EOT

  # What the shipped units are for /etc/ecs/mtls: memory, and the one place where they may write.
  mount = <<-EOT
    [Unit]
    Description=Memory for the mTLS identity
    [Mount]
    What=tmpfs
    Where=${local.path}
    Type=tmpfs
    Options=mode=0755,size=8m,nodev,nosuid,noexec
  EOT

  path_drop_in = <<-EOT
    [Unit]
    RequiresMountsFor=${local.path}
    [Service]
    ReadWritePaths=${local.path}
  EOT

  # As systemd-escape --path has it.
  mount_unit = "${replace(replace(trimprefix(local.path, "/"), "-", "\\x2d"), "/", "-")}.mount"

  log_config = jsonencode({
    logs = { logs_collected = { files = { collect_list = [{
      file_path       = "/var/log/mtls-agent/ecs-init.log"
      log_group_name  = var.log_group_name
      log_stream_name = "{instance_id}"
    }] } } }
  })

  files = concat(
    [["/etc/ecs/ecs.config", "0644", local.ecs_config]],
    !var.enable_enclave_mtls ? [] : [
      ["/etc/mtls-agent/agent.conf", "0644", local.config],
      ["/etc/systemd/system/ecs.service.d/mtls-agent.conf", "0644", local.ecs_drop_in],
    ],
    var.enable_enclave_mtls && var.on_fetch_failure == "poweroff" ? [
      ["/etc/systemd/system/mtls-agent-fetch.service.d/poweroff.conf", "0644", local.poweroff_drop_in],
    ] : [],
    var.enable_enclave_mtls && local.path != "/etc/ecs/mtls" ? [
      ["/etc/systemd/system/${local.mount_unit}", "0644", local.mount],
      ["/etc/systemd/system/mtls-agent-fetch.service.d/path.conf", "0644", local.path_drop_in],
      ["/etc/systemd/system/mtls-agent.service.d/path.conf", "0644", local.path_drop_in],
    ] : [],
    var.enable_enclave_mtls && var.log_group_name != null ? [
      ["/etc/mtls-agent-logs.json", "0644", local.log_config],
    ] : [],
  )

  setup = templatefile("${path.module}/templates/setup.sh.tftpl", {
    agent         = var.enable_enclave_mtls
    source        = var.agent_source.s3
    source_region = coalesce(try(var.agent_source.s3.region, null), var.region)
    region        = var.region
    dns_suffix    = var.dns_suffix
    ecs_key       = local.ecs_key
    logs_key      = local.logs_key
    poweroff      = var.enable_enclave_mtls && var.on_fetch_failure == "poweroff"
    ubuntu        = var.ami_os == "ubuntu"
    logs          = var.enable_enclave_mtls && var.log_group_name != null
  })

  linux_user_data = "#cloud-config\n${yamlencode({
    write_files = [for file in local.files : { path = file[0], permissions = file[1], owner = "root:root", content = file[2] }]
    runcmd      = [["/bin/sh", "-c", local.setup]]
  })}"
}
