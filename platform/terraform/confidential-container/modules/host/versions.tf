# What a host is told, and what it may do: text out of text, without a provider.
terraform {
  required_version = ">= 1.7"
}
