"""One object that owns the telemetry of the API."""

import logging

from app.config import AppConfig

try:
    import sentry_sdk
    from sentry_sdk.integrations.fastapi import FastApiIntegration
except ImportError:
    sentry_sdk = None

log = logging.getLogger(__name__)


class Observability:
    def __init__(self, settings: AppConfig) -> None:
        self.settings = settings

    def start(self) -> None:
        if not self.settings.sentry_dsn:
            return
        try:
            sentry_sdk.init(
                dsn=self.settings.sentry_dsn,
                environment=self.settings.environment,
                traces_sample_rate=self.settings.sentry_traces_sample_rate,
                integrations=[FastApiIntegration(auto_enabling=True)],
            )
        except Exception as error:
            log.warning("telemetry is off: %s", error)
