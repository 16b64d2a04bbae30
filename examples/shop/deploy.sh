#!/usr/bin/env bash
# ./deploy.sh staging | production
set -euo pipefail
environment="$1"
gcloud config set project "shop-$environment"
gcloud config set run/region europe-west1

gcloud run deploy "shop-api-$environment" --source api \
  --set-env-vars="SHOP_ENV=$environment" \
  --set-secrets="DATABASE_URL=shop-database-url-$environment:latest"

gcloud run deploy "shop-worker-$environment" --source worker \
  --set-env-vars="SHOP_ENV=$environment,SENTRY_ENVIRONMENT=$environment" \
  --set-secrets="SENTRY_DSN=sentry-dsn-$environment:latest"

# What the page knows is compiled in by next build: a DSN that comes with the deploy is too late.
web="europe-west1-docker.pkg.dev/shop-$environment/shop/web"
docker build --secret id=SENTRY_AUTH_TOKEN --build-arg SENTRY_ORG=shop --build-arg SENTRY_PROJECT=web --tag "$web" web
docker push "$web"
gcloud run deploy "shop-web-$environment" --image "$web" \
  --set-secrets="NEXT_PUBLIC_SENTRY_DSN=sentry-dsn-$environment:latest"
