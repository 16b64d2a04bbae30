"""Python of a newer version than the one that runs us, parsed all the same where that is exact."""

from __future__ import annotations

import ast
import re
import sys
import warnings

#: ``except A, B:`` (PEP 758, Python 3.14); ``except A, B as e`` stays an error.
_EXCEPT = re.compile(r"^(\s*except\*?\s+)((?:[\w.]+\s*,\s*)+[\w.]+)(\s*:)", re.MULTILINE)
#: ``def f[T](…)`` and ``class A[T]`` (PEP 695, Python 3.12).
_GENERIC = re.compile(
    r"^([ \t]*(?:async[ \t]+def|def|class)[ \t]+\w+)\[[^\]\n]*(?:\[[^\]\n]*\][^\]\n]*)*\](?=[ \t]*[(:])", re.MULTILINE
)
#: ``type A = …`` and ``type A[T] = …`` (PEP 695).
_TYPE = re.compile(r"^([ \t]*)type[ \t]+(\w+)(?:\[[^\n=]*\])?([ \t]*=)", re.MULTILINE)


def parse(text: str) -> ast.Module:
    """The syntax tree of ``text``. Raises SyntaxError, or ValueError for NUL bytes, as ``ast.parse`` does.

    Syntax that is newer than the running Python is rewritten on its own line, so that line numbers stay.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the audited code's string escapes, which are its own affair
        try:
            return ast.parse(text)
        except SyntaxError as error:
            older = _EXCEPT.sub(r"\1(\2)\3", text)
            older = _GENERIC.sub(r"\1", older)
            older = _TYPE.sub(r"\1\2\3", older)
            if older == text:
                raise
            try:
                return ast.parse(older)
            except SyntaxError:
                raise error from None


def hint(error: BaseException) -> str:
    """What to do about a file that cannot be parsed."""
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if isinstance(error, SyntaxError) and "f-string" in str(error.msg):
        return f"fix it, or run sentry-audit on Python 3.12 or newer: this is {running}"
    return f"fix the syntax error (parsed as Python {running}), or exclude the file in sentry-audit.yaml"
