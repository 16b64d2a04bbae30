#!/usr/bin/env bash
set -euo pipefail
gcloud run deploy api-staging --source . \
  --set-env-vars="SENTRY_ENVIRONMENT=staging,SENTRY_RELEASE=api@1f0c2d7" \
  --set-secrets="SENTRY_DSN=sentry-dsn-staging:latest"
