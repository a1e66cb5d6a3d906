terraform {
  required_version = ">= 1.7" # OpenTofu >= 1.8

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}
