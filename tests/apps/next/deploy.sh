#!/bin/sh
gcloud run deploy web --source . --project "shop-$1" --region europe-west1 \
  --set-env-vars SENTRY_ENVIRONMENT=staging --set-secrets SENTRY_DSN=sentry-dsn-staging:latest
