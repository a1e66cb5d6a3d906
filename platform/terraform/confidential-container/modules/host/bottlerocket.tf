# TOML's basic strings are JSON's.
locals {
  bottlerocket_user_data = join("\n", concat(
    [
      "[settings.ecs]",
      "cluster = ${jsonencode(var.cluster)}",
      "awsvpc-block-imds = true",
      "",
    ],
    !var.enable_enclave_mtls ? [] : [
      "# Before ECS on every boot; no identity, no boot.",
      "[settings.bootstrap-containers.mtls-agent]",
      "source = ${jsonencode(coalesce(var.agent_source.image, "-"))}",
      "mode = \"always\"",
      "essential = true",
      "user-data = \"${base64encode(local.config)}\"",
      "",
    ],
  ))
}
