"""The entry point: ``--version`` answers before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with the codes that docs/exit-codes.md lists."""
    if sys.argv[1:] == ["--version"]:
        from sentry_audit import __version__

        sys.stdout.write(f"sentry-audit {__version__}\n")
        return
    from sentry_audit.cli import run

    run()


if __name__ == "__main__":
    main()
