"""Where Sentry is started, and what is taken out of its events."""

import os
from typing import Any

import sentry_sdk


def scrub(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    event.pop("breadcrumbs", None)
    request = event.get("request") or {}
    for name in ("data", "headers", "cookies", "query_string", "env"):
        request.pop(name, None)
    return event


def start() -> None:
    sentry_sdk.init(
        dsn=os.environ.get("SENTRY_DSN"),
        traces_sample_rate=0.1,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=scrub,
        before_send_transaction=scrub,
    )
