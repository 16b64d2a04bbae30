"""The project's own formatters, run over what is to be written: their settings, their programs, over standard input.

``choosing`` reads which one a file is formatted with, ``programs`` finds and runs it. Nothing is installed, nothing is
written, and no code of the repository is run.
"""

from __future__ import annotations

from sentry_audit.formatting.formatters import Formatters

__all__ = ["Formatters"]
