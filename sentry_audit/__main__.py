"""The entry point: ``--version`` answers before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with the codes that docs/exit-codes.md lists."""
    if sys.argv[1:] == ["--version"]:
        from sentry_audit import __version__

        sys.stdout.write(f"sentry-audit {__version__}\n")
        return
    import gc

    gc.disable()  # syntax trees are kept to the end anyway: collecting among them took a tenth of the time
    if sys.argv[1:2] == ["check"] and not {"-h", "--help"} & set(sys.argv):
        from sentry_audit.sources import ahead

        ahead.begin(sys.argv[2:])
    from sentry_audit.cli import run

    try:
        run()
    except SystemExit as end:
        _leave(end)


def _leave(end: SystemExit) -> None:
    """End without taking the interpreter's objects apart one by one, once all output is out."""
    import os

    if not isinstance(end.code, int):
        raise end
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        raise end from None
    os._exit(end.code)


if __name__ == "__main__":
    main()
