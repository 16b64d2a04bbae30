"""Counts what was sold, once a night."""

import os
import sys

import sentry_sdk

sentry_sdk.init(
    dsn=os.environ.get("SENTRY_DSN"),
    environment=os.environ.get("SENTRY_ENVIRONMENT"),
    release=os.environ.get("SENTRY_RELEASE"),
)


def main():
    if sys.argv[1:] != ["--once"]:
        sys.exit("usage: nightly.py --once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
