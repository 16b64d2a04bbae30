"""What the shop does later."""

import os

import sentry_sdk
from celery import Celery

sentry_sdk.init(
    dsn=os.environ.get("SENTRY_DSN"),
    environment=os.environ.get("SENTRY_ENVIRONMENT"),
    release=os.environ.get("SENTRY_RELEASE"),
)
app = Celery("tasks", broker=os.environ.get("BROKER_URL", "amqp://broker"))


@app.task
def ship(number):
    return number
