variable "region" {
  description = "AWS region"
  type        = string
}

variable "vpc_id" {
  description = "VPC of hosts and enclaves"
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets of the hosts"
  type        = list(string)
}

variable "enclave_security_group_name" {
  description = "Name of the enclaves' security group"
  type        = string
}

variable "enclave_endpoints" {
  description = "The enclaves, HOST:PORT each"
  type        = list(string)
}

variable "identity_version" {
  description = "Count it up when certs/ holds a new identity"
  type        = number
  default     = 1
}

variable "app_image" {
  description = "Image of the application"
  type        = string
}
