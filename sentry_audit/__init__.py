"""sentry-audit: says, with evidence, whether an application's errors can reach Sentry."""

__version__ = "0.1.0"
