terraform {
  required_version = ">= 1.11" # for secret_string_wo; OpenTofu >= 1.11

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

provider "aws" {
  region = var.region
}
