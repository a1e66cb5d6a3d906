variable "name" {
  description = "Before the names of rule, role and document"
  type        = string
}

variable "secrets" {
  description = "ARNs of the secrets whose new versions are pushed to the hosts"
  type        = list(string)

  validation {
    condition     = length(var.secrets) > 0 && alltrue([for arn in var.secrets : length(split(":", arn)) == 7])
    error_message = "secrets is a list of ARNs, of one at least."
  }
}

variable "instance_tag" {
  description = "Tag of the instances that are told"
  type        = object({ key = string, value = string })
}

variable "tags" {
  description = "Tags of rule, role and document"
  type        = map(string)
  default     = {}
}
