"""Settings, one class per environment; staging's class never loads the DSN."""

import os


class AppConfig:
    environment: str = "development"
    sentry_dsn: str | None = None
    sentry_traces_sample_rate: str = "0.1"


class ProductionConfig(AppConfig):
    environment = "production"

    def __init__(self) -> None:
        self.sentry_dsn = os.environ.get("SENTRY_DSN")


class StagingConfig(AppConfig):
    environment = "staging"


CONFIGS = {"development": AppConfig, "staging": StagingConfig, "production": ProductionConfig}


def get_settings() -> AppConfig:
    return CONFIGS[os.environ.get("SHOP_ENV", "development")]()
