"""A shop of one page."""

import os

import sentry_sdk
from flask import Flask, request


def scrub(event, hint):
    event.pop("breadcrumbs", None)
    for name in ("data", "headers", "cookies", "query_string", "env"):
        event.get("request", {}).pop(name, None)
    return event


sentry_sdk.init(
    dsn=os.environ.get("SENTRY_DSN"),
    environment=os.environ.get("SENTRY_ENVIRONMENT"),
    release=os.environ.get("SENTRY_RELEASE"),
    include_local_variables=False,
    before_send=scrub,
)
app = Flask(__name__)


class OutOfStock(Exception):
    pass


@app.before_request
def context():
    sentry_sdk.set_tag("request_id", request.headers.get("X-Request-ID"))


@app.errorhandler(OutOfStock)
def out_of_stock(error):
    sentry_sdk.capture_exception(error)
    return {"error": "out of stock"}, 503


@app.get("/")
def index():
    return {"status": "ok"}
