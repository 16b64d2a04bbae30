"""A flag in the gcloud command that a Python script makes: in the list, or in the text, that holds it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from sentry_audit.fixers import env_files
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import indent_at, line_at, row_start
from sentry_audit.fixing import Refusal
from sentry_audit.python import syntax

if TYPE_CHECKING:
    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.definitions import Ask, Given, Placed
    from sentry_audit.fixing import Case

_FLAGS = {"secret": ("--set-secrets", "--update-secrets"), "plain": ("--set-env-vars", "--update-env-vars")}


def give(case: Case, deployment: Deployment, text: str, ask: Ask) -> Placed | Refusal:
    """The flag's value extended, or the flag added, in the list of arguments that begins nearest to the deployment."""
    try:
        tree = syntax.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Refusal(reason=f"{deployment.path} cannot be parsed")
    lists = [node for node in ast.walk(tree) if isinstance(node, ast.List) and _deploys(node)]
    wanted = [node for node in lists if node.lineno <= (deployment.line or 0) <= (node.end_lineno or 0)]
    chosen = wanted[0] if wanted else lists[0] if len(lists) == 1 else None
    if chosen is None:
        return Refusal(reason=f"the list of arguments in {deployment.path}:{deployment.line} was not followed")
    start, end = _span(text, chosen)
    asked = ask(Spelling(case, deployment, text[start:end]))
    if isinstance(asked, Refusal):
        return asked
    if asked.sort == "plain" and env_files.files_of(deployment):
        return env_files.give(case, deployment, asked)
    return _placed(deployment.path, text, chosen, asked)


def _deploys(node: ast.List) -> bool:
    words = [item.value for item in node.elts if isinstance(item, ast.Constant)]
    return "gcloud" in words and "run" in words


def _placed(path: str, text: str, node: ast.List, asked: Given) -> Placed | Refusal:
    for index, item in enumerate(node.elts):
        shown = _text(item)
        name, mark, _ = shown.partition("=")
        if name not in _FLAGS[asked.sort]:
            continue
        target = item if mark else node.elts[index + 1] if index + 1 < len(node.elts) else None
        if not isinstance(target, ast.Constant | ast.JoinedStr):
            return Refusal(reason=f"{name} in {path} gets a value that was not followed")
        begin, end = _span(text, target)
        prefix = re.match(r"[A-Za-z]*", text[begin:])
        if _braces(asked.entry) and "f" not in (prefix[0].lower() if prefix else ""):
            return Refusal(reason=f"{name} in {path} is no f-string, and {asked.value} needs one")
        quotes = 3 if text[begin:end].endswith(('"""', "'''")) else 1
        return [(path, (end - quotes, f",{asked.entry}"))]
    if not node.elts or isinstance(node.elts[-1], ast.Starred):
        return Refusal(reason=f"the arguments in {path} end in some that were not followed")
    last = node.elts[-1]
    begin, end = _span(text, last)
    quote = next((sign for sign in text[begin:end] if sign in "\"'"), '"')
    word = f"{'f' if _braces(asked.entry) else ''}{quote}{_FLAGS[asked.sort][1]}={asked.entry}{quote}"
    if line_at(text, begin) == line_at(text, _span(text, node)[0]):
        return [(path, (end, f", {word}"))]
    return [(path, (end, f",\n{indent_at(text, begin)}{word}"))]


def _braces(entry: str) -> bool:
    return bool(re.search(r"\{\w", entry))


def _text(node: ast.expr) -> str:
    """The text that a string begins with, as far as it is known."""
    if isinstance(node, ast.JoinedStr) and node.values:
        return _text(node.values[0])
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _span(text: str, node: ast.expr) -> tuple[int, int]:
    """Where a node begins and ends: Python counts columns in bytes."""
    return _place(text, node.lineno, node.col_offset), _place(text, node.end_lineno or 1, node.end_col_offset or 0)


def _place(text: str, line: int, column: int) -> int:
    start = row_start(text, line)
    return start + len(text[start:].encode()[:column].decode(errors="ignore"))
