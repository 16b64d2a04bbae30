"""Small repositories for tests: as a dict of texts, or as files in a folder."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sentry_audit.app import Request, check
from sentry_audit.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sentry_audit.model import Finding, Report


class Texts:
    """An in-memory tree: what ``python.program.Files`` asks for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = {path: textwrap.dedent(text) for path, text in files.items()}

    @property
    def paths(self) -> Paths:
        return Paths(self.files)

    def text(self, path: str) -> str | None:
        return self.files.get(path)

    def among(self, paths: Iterable[str], tokens: Sequence[str]) -> list[str]:
        return [path for path in paths if any(token in self.files[path] for token in tokens)]

    def search(self, tokens: Sequence[str], suffix: str = "") -> list[str]:
        hits = (path for path, text in self.files.items() if path.endswith(suffix) and any(t in text for t in tokens))
        return sorted(hits)


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write ``files`` (dedented) below ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return root


def audit(root: Path, files: Mapping[str, str], environment: str = "staging", **request: object) -> Report:
    """Write ``files`` and audit them in one environment."""
    write(root, files)
    [report] = check(Request(root=root, environments=(environment,), **request))  # type: ignore[arg-type]
    return report


def statuses(report: Report, check_id: str, component: str | None = None) -> set[str]:
    """The statuses of one check's findings."""
    found = {item.status.value for item in findings(report, check_id, component)}
    assert found, f"{check_id} gave no finding"
    return found


def findings(report: Report, check_id: str, component: str | None = None) -> list[Finding]:
    return [item for item in report.findings if item.check == check_id and component in {None, item.component}]


def message(report: Report, check_id: str) -> str:
    return " ".join(item.message for item in findings(report, check_id))


FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
SDK = "fastapi\nsentry-sdk>=2.64,<3\n"
IMAGE = """\
    FROM python:3.12-slim
    WORKDIR /app
    COPY requirements.txt .
    RUN pip install --no-cache-dir -r requirements.txt
    COPY . .
    CMD ["uvicorn", "main:app", "--host", "0.0.0.0"]
    """
