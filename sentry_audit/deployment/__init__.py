"""Where a repository says what its services get: commands, pipelines, scripts, Knative, Terraform."""
