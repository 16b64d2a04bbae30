"""Lines that got too long: broken as formatters do, at the length that the project is set to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers.fitting import fitted
from sentry_audit.fixers.projectstyle import line_length, set_length
from sentry_audit.fixing import Change, Edit
from tests.trees import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping


def fit(path: str, after: str, before: str = "", files: Mapping[str, str] | None = None) -> str:
    texts = Texts({**({path: before} if before else {}), **(files or {})})
    [edit] = fitted(Change(summary="will", edits=(Edit(path, after),)), texts).edits
    return edit.after or ""


NAMES = '["authorization", "x-requested-with", "sentry-trace", "baggage"]'
CALL = f'app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_headers={NAMES})\n'


def test_a_call_gets_a_line_for_each_argument() -> None:
    assert fit("m.py", CALL) == (
        'app.add_middleware(\n    CORSMiddleware,\n    allow_origins=["https://shop.example"],\n'
        f"    allow_headers={NAMES},\n)\n"
    )


def test_a_list_in_it_too_where_the_project_has_shorter_lines() -> None:
    assert fit("m.py", CALL, files={"pyproject.toml": "[tool.black]\nline-length = 60\n"}).endswith(
        '    allow_headers=[\n        "authorization",\n        "x-requested-with",\n'
        '        "sentry-trace",\n        "baggage",\n    ],\n)\n'
    )
    assert fit("m.py", CALL, files={"pyproject.toml": "[tool.ruff]\nline-length = 160\n"}) == CALL


def test_what_was_as_long_before_is_no_reason() -> None:
    long = f"# {'-' * 160}\n"
    assert fit("m.py", long + CALL, long) == long + CALL
    config = {"ruff.toml": "line-length = 88\n"}
    assert fit("m.py", long + CALL, long, config).startswith(f"{long}app.add_middleware(\n")
    assert fit("m.py", CALL + "b = 1\n", CALL, config) == CALL + "b = 1\n"


@pytest.mark.parametrize(
    "line",
    [
        f"x = '{'a' * 100}'\n",
        f"x = Headers(scope=scope).get('{'a' * 80}') or str(uuid4())\n",
        f"def handler(first, second={'a' * 100}): ...\n",
        f"total = sum(value for value in {'a' * 100})\n",
    ],
)
def test_what_cannot_be_broken_stays(line: str) -> None:
    assert fit("m.py", line) == line


def test_brackets_and_commas_inside_of_items_stay_with_them() -> None:
    line = f"call((first), 'a, b', {{'{'k' * 60}': (1, 2)}}, *rest, **{{'a': [é, 'ü']}})  # ö\n"
    assert fit("m.py", line) == (
        f"call(\n    (first),\n    'a, b',\n    {{'{'k' * 60}': (1, 2)}},\n    *rest,\n    **{{'a': [é, 'ü']}},\n)  # ö\n"
    )


SCRIPT = "Sentry.init({\n  dsn,\n  integrations: [Sentry.extraErrorDataIntegration(), Sentry.browserTracingIntegration()],\n});\n"


def test_lists_and_objects_of_scripts() -> None:
    assert fit("web/a.ts", SCRIPT) == SCRIPT.replace(
        "[Sentry.extraErrorDataIntegration(), Sentry.browserTracingIntegration()]",
        "[\n    Sentry.extraErrorDataIntegration(),\n    Sentry.browserTracingIntegration(),\n  ]",
    )
    assert fit("web/a.ts", SCRIPT, files={"web/.prettierrc": "printWidth: 100\n"}) == SCRIPT
    call = "  Sentry.captureException(error, { contexts: { react: { componentStack: info.componentStack } } });\n"
    assert fit("a.ts", f"function f() {{\n{call}}}\n") == (
        "function f() {\n  Sentry.captureException(error, {\n"
        "    contexts: { react: { componentStack: info.componentStack } },\n  });\n}\n"
    )
    rate = f'const rate = {{\n\ttraces: Number(import.meta.env.VITE_{"X" * 40} || "0.1"),\n}};\n'
    assert f'Number(\n\t\timport.meta.env.VITE_{"X" * 40} || "0.1"\n\t),\n' in fit("a.ts", rate)
    assert fit("a.ts", SCRIPT.replace("\n", "\r\n")).replace("\r\n", "").count("\n") == 0
    assert fit("a.vue", SCRIPT) == SCRIPT


@pytest.mark.parametrize(
    ("path", "files", "length"),
    [
        ("api/m.py", {}, 0),
        ("api/m.py", {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"}, 100),
        ("api/m.py", {"api/setup.cfg": "[flake8]\nmax-line-length = 79\n"}, 79),
        ("api/m.py", {".editorconfig": "[*]\nmax_line_length = 100\n[*.{py,pyi}]\nmax_line_length = 110\n"}, 110),
        ("api/m.py", {".editorconfig": "[*.md]\nmax_line_length = 60\n[*.py]\nmax_line_length = off\n"}, 0),
        ("web/a.ts", {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"}, 0),
        ("web/a.ts", {".prettierrc": '{"printWidth": 120}'}, 120),
        ("web/a.ts", {"web/prettier.config.js": "module.exports = { printWidth: 90 };"}, 90),
        ("web/a.ts", {"package.json": '{"prettier": {"printWidth": 70}}'}, 70),
        ("web/a.ts", {"biome.json": '{"formatter": {"lineWidth": 75}}'}, 75),
        ("web/a.ts", {".prettierrc.toml": "printWidth = 66\n"}, 66),
        ("web/a.ts", {"web/.editorconfig": "[*.{js,ts}]\nmax_line_length = 95\n", ".prettierrc": "{}"}, 95),
    ],
)
def test_the_length_that_is_set(path: str, files: dict[str, str], length: int) -> None:
    assert set_length(Texts(files), path) == length
    assert line_length(Texts(files), path) == (length or (88 if path.endswith("py") else 80))
