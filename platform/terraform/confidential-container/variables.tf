# ---- the cluster -----------------------------------------------------------------------------------------------------------

variable "name" {
  description = "Name of the cluster, of its capacity provider, and before the names of all that belongs to it"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_-]{0,31}$", var.name)) && !can(regex("^(?i:aws|ecs|fargate)", var.name))
    error_message = "name is a letter and up to 31 letters, digits, _ and -. ECS keeps names that begin with aws, ecs or fargate for itself."
  }
}

variable "vpc_id" {
  description = "VPC of the hosts"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the hosts, private ones for choice"
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids is empty: the hosts need a subnet."
  }
}

variable "instance_type" {
  description = "Instance type, of a family that has AMD SEV-SNP: m6a, c6a, r6a"
  type        = string
  default     = "m6a.large"

  validation {
    condition     = can(regex("^(m6a|c6a|r6a)\\.(large|[0-9]*xlarge)$", var.instance_type))
    error_message = "instance_type is of m6a, c6a or r6a, and no metal: only these have AMD SEV-SNP."
  }
}

variable "ami_os" {
  description = "Operating system of the hosts: amazon-linux-2023, ubuntu (24.04) or bottlerocket"
  type        = string
  default     = "amazon-linux-2023"

  validation {
    condition     = contains(["amazon-linux-2023", "ubuntu", "bottlerocket"], var.ami_os)
    error_message = "ami_os is amazon-linux-2023, ubuntu or bottlerocket."
  }
}

variable "ami_id" {
  description = "Your own image of ami_os; without it, the newest public one"
  type        = string
  default     = null
}

variable "min_size" {
  description = "Fewest hosts"
  type        = number
  default     = 1

  validation {
    condition     = var.min_size >= 0 && floor(var.min_size) == var.min_size
    error_message = "min_size is a whole number, 0 or more."
  }
}

variable "max_size" {
  description = "Most hosts"
  type        = number
  default     = 3
}

variable "desired_capacity" {
  description = "Hosts while enable_managed_scaling is off; else ECS decides, beginning with min_size"
  type        = number
  default     = null
}

variable "volume_size" {
  description = "GiB of the encrypted volume that holds images and containers"
  type        = number
  default     = 50

  validation {
    condition     = var.volume_size >= 30
    error_message = "volume_size is 30 or more: the public images are that large."
  }
}

variable "volume_kms_key_id" {
  description = "ARN of the KMS key that encrypts the volumes; without it, the account's key for EBS"
  type        = string
  default     = null
}

variable "container_insights_enabled" {
  description = "Whether CloudWatch Container Insights is on"
  type        = bool
  default     = false
}

variable "enable_managed_scaling" {
  description = "Whether ECS scales the hosts by what tasks need"
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything, hosts and volumes included"
  type        = map(string)
  default     = {}
}

# ---- the enclave -----------------------------------------------------------------------------------------------------------

variable "enable_enclave_mtls" {
  description = "Whether the hosts get an identity for the enclave"
  type        = bool
  default     = false
}

variable "enclave_security_group_ids" {
  description = "Security groups of the enclaves, or of the load balancer before them: hosts may reach them on the endpoints' ports"
  type        = list(string)
  default     = []
}

variable "enclave_cidr_blocks" {
  description = "Networks of enclaves that have no security group to name"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for block in var.enclave_cidr_blocks : can(cidrhost(block, 0))])
    error_message = "enclave_cidr_blocks are networks, such as 10.0.1.0/24 or fd00::/64."
  }
}

variable "enclave_endpoints" {
  description = "Enclaves that new identities are tried on, in the forms of docs/configuration.md: HOST:PORT, NAME@ADDRESS:PORT, https://HOST[:PORT][/PATH]"
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for endpoint in var.enclave_endpoints : can(regex(
        "^(https://)?([A-Za-z0-9.-]+@)?([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?(/[!-~]*)?$", endpoint
        )) && (startswith(endpoint, "https://") ? true : can(regex(":[0-9]+$", endpoint))
      )
    ])
    error_message = "An endpoint is HOST:PORT, [IPV6]:PORT, NAME@ADDRESS:PORT or https://HOST[:PORT][/PATH]; names have no underscore, and there is no http://."
  }

  validation {
    condition = alltrue([
      for port in flatten([for endpoint in var.enclave_endpoints : regexall(":([0-9]+)(?:/|$)", endpoint)]) :
      tonumber(port) >= 1 && tonumber(port) <= 65535
    ])
    error_message = "An endpoint's port is 1 to 65535."
  }
}

variable "enclave_ports" {
  description = "Ports that hosts may reach enclaves on, where endpoints are not known before apply; without it, the endpoints' own"
  type        = list(number)
  default     = null
}

variable "manage_enclave_ingress" {
  description = "Whether to add the enclaves' side too: rules in enclave_security_group_ids that let the hosts in"
  type        = bool
  default     = false
}

# ---- the identity ----------------------------------------------------------------------------------------------------------

variable "mtls_certificate_secrets_arns" {
  description = "Secrets that hold identities. A list of one: installed in mtls_certificate_path. A map { NAME = ARN }: each in a subdirectory of its own. In place of an ARN, a list of ARNs that make one identity together"
  type        = any
  default     = []

  validation {
    condition     = can(keys(var.mtls_certificate_secrets_arns)) || length(var.mtls_certificate_secrets_arns) <= 1
    error_message = "Two unnamed identities would install the same files. Name them, { web = ARN, batch = ARN }, to have each in its own subdirectory; or, where the secrets are parts of one identity, make them one element: [[ARN, ARN]]."
  }

  validation {
    condition = alltrue([
      for arn in flatten([for identity in var.mtls_certificate_secrets_arns : identity]) :
      can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}$", arn))
    ])
    error_message = "A secret is given by its ARN, arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME."
  }

  validation {
    condition = alltrue([
      for name in try(keys(var.mtls_certificate_secrets_arns), []) : can(regex("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}$", name))
    ])
    error_message = "An identity's name is 1 to 63 letters, digits, '.', '_' and '-', and does not begin with '.'."
  }

  validation {
    condition = length(var.mtls_certificate_secrets_arns) <= 16 && alltrue([
      for identity in var.mtls_certificate_secrets_arns : length(flatten([identity])) >= 1 && length(flatten([identity])) <= 16
    ])
    error_message = "The user data has room for 16 identities, of 1 to 16 secrets each."
  }
}

variable "mtls_kms_key_arns" {
  description = "ARNs of the KMS keys that encrypt the secrets, where they are not aws/secretsmanager"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.mtls_kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "A key is given by its ARN, arn:PARTITION:kms:REGION:ACCOUNT:key/ID: policies know no aliases."
  }
}

variable "mtls_certificate_path" {
  description = "Directory on the host; /etc/ecs/mtls, on Bottlerocket /run/mtls-agent"
  type        = string
  default     = null

  validation {
    condition     = var.mtls_certificate_path == null || can(regex("^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$", var.mtls_certificate_path))
    error_message = "mtls_certificate_path is an absolute path, without a / at its end."
  }

  validation {
    condition     = var.mtls_certificate_path == null ? true : !can(regex("^/([^/]+|var/[^/]+|usr/.*|etc/(ecs|systemd|mtls-agent)|(tmp|home|root)/.*)$", var.mtls_certificate_path))
    error_message = "mtls_certificate_path becomes a file system of its own, in memory: a directory that holds nothing else, such as /etc/ecs/mtls or /srv/enclave/mtls."
  }
}

variable "agent_source" {
  description = <<-EOT
    Where the agent comes from, one of:
    s3           = { bucket, key, sha256, region }: the archive of `make host-archive`, as an object of yours
    file         = "PATH": that archive on this machine; it goes to a bucket that the module makes
    image        = "REGISTRY/NAME@sha256:DIGEST": for Bottlerocket
    preinstalled = true: it is in ami_id
    Without it: preinstalled where ami_id is given, else the file that `make host-archive` makes in this checkout.
  EOT
  type = object({
    s3 = optional(object({
      bucket = string
      key    = string
      sha256 = string
      region = optional(string)
    }))
    file         = optional(string)
    image        = optional(string)
    preinstalled = optional(bool)
  })
  default = null

  validation {
    condition = var.agent_source == null ? true : length([
      for given in [var.agent_source.s3 != null, var.agent_source.file != null, var.agent_source.image != null,
      var.agent_source.preinstalled == true] : given if given
    ]) == 1
    error_message = "agent_source has exactly one of s3, file, image and preinstalled = true."
  }

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", try(var.agent_source.s3.sha256, null))) || try(var.agent_source.s3, null) == null
    error_message = "agent_source.s3.sha256 is the archive's SHA-256, 64 hexadecimal digits in lower case."
  }

  validation {
    condition = try(var.agent_source.s3, null) == null ? true : (
      can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.agent_source.s3.bucket)) &&
      can(regex("^[A-Za-z0-9_.-][A-Za-z0-9/_.-]*$", var.agent_source.s3.key))
    )
    error_message = "agent_source.s3 has a bucket's name, and a key of letters, digits, '/', '_', '.' and '-'."
  }

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}$", try(var.agent_source.image, null))) || try(var.agent_source.image, null) == null
    error_message = "agent_source.image is pinned by its digest: REGISTRY/NAME@sha256:DIGEST. A tag may change under you."
  }
}

variable "agent_options" {
  description = "More lines for the agent's configuration file, such as { key-mode = \"0640\", expect-subject = \"ECS-Client\" }"
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name, value in var.agent_options : can(regex("^[A-Za-z_-]+$", name)) && !can(regex("[\r\n]", value)) &&
      !contains(["command", "secret", "endpoint", "dir", "root"], name)
    ])
    error_message = "agent_options are single lines, and not command, secret, endpoint, dir or root: these come from the other variables."
  }
}

variable "log_group_name" {
  description = "CloudWatch log group for the agent's log. It exists already; on Bottlerocket there is no way to it"
  type        = string
  default     = null
}

variable "on_fetch_failure" {
  description = "What becomes of a host that gets no identity when it boots: keep (it stays, and does not join the cluster) or poweroff (it is replaced)"
  type        = string
  default     = "keep"

  validation {
    condition     = contains(["keep", "poweroff"], var.on_fetch_failure)
    error_message = "on_fetch_failure is keep or poweroff."
  }
}

variable "push_rotations" {
  description = "Whether EventBridge and Run Command signal hosts at once when a secret has a new version; without it they look every few minutes"
  type        = bool
  default     = false
}

# ---- where hosts may go, besides the enclave -------------------------------------------------------------------------------

variable "https_cidr_blocks" {
  description = "Where hosts may go on port 443, for AWS and registries"
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "https_prefix_list_ids" {
  description = "And to which prefix lists, such as a gateway endpoint's of S3"
  type        = list(string)
  default     = []
}

variable "https_security_group_ids" {
  description = "And to which security groups, such as those of interface endpoints"
  type        = list(string)
  default     = []
}

variable "dns_cidr_block" {
  description = "Where hosts may ask for names; the VPC's own network if not given"
  type        = string
  default     = null
}
