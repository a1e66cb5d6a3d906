variable "cluster" {
  description = "Name of the ECS cluster"
  type        = string
}

variable "ami_os" {
  description = "amazon-linux-2023, ubuntu or bottlerocket"
  type        = string
}

variable "enable_enclave_mtls" {
  description = "Whether the host gets an identity"
  type        = bool
}

variable "secrets" {
  description = "As mtls_certificate_secrets_arns of the module around this one"
  type        = any
}

variable "kms_key_arns" {
  description = "Keys that encrypt the secrets"
  type        = list(string)
}

variable "endpoints" {
  description = "Enclaves that identities are tried on"
  type        = list(string)
}

variable "mtls_certificate_path" {
  description = "Directory on the host, or null for the system's own"
  type        = string
}

variable "agent_source" {
  description = "s3, image, or neither where the agent is in the host's image"
  type = object({
    s3    = object({ bucket = string, key = string, sha256 = string, region = string })
    image = string
  })
}

variable "agent_options" {
  description = "More lines of the agent's configuration"
  type        = map(string)
}

variable "log_group_name" {
  description = "Log group of the agent's log, or null"
  type        = string
}

variable "on_fetch_failure" {
  description = "keep or poweroff"
  type        = string
}

variable "partition" {
  description = "Partition, such as aws"
  type        = string
}

variable "dns_suffix" {
  description = "Its DNS suffix, such as amazonaws.com"
  type        = string
}

variable "region" {
  description = "Region of the host"
  type        = string
}
