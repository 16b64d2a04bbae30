"""The shop's background work: it has the SDK, and initialises it."""

import os

import sentry_sdk
from celery import Celery

sentry_sdk.init(dsn=os.environ.get("SENTRY_DSN"), environment=os.environ.get("ENVIRONMENT"))
app = Celery("shop", broker=os.environ.get("BROKER_URL", "memory://"))


@app.task
def send_receipt(order: int) -> None:
    if order < 0:
        raise ValueError(order)
