import os

import sentry_sdk


def scrub(event, hint):
    event.pop("breadcrumbs", None)
    for name in ("data", "headers", "cookies", "query_string", "env"):
        event.get("request", {}).pop(name, None)
    return event


sentry_sdk.init(
    dsn=os.environ.get("SENTRY_DSN"),
    environment=os.environ.get("SENTRY_ENVIRONMENT"),
    release=os.environ.get("SENTRY_RELEASE"),
    traces_sample_rate=1.0,
    include_local_variables=False,
    before_send=scrub,
    before_send_transaction=scrub,
)
SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_.urls"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "site_.middleware.Context"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
