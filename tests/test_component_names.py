"""Components of one name: facts, findings and fixes are found by it, so each component has its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sentry_audit import app
from tests.trees import SDK, write

if TYPE_CHECKING:
    from pathlib import Path

API = {
    "pyproject.toml": '[project]\nname = "shop"\ndependencies = ["fastapi", "sentry-sdk>=2.64,<3"]\n',
    "main.py": "import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init()\napp = FastAPI()\n",
}
WEB = json.dumps({"name": "shop", "scripts": {"build": "vite build"}, "dependencies": {"react": "^19", "vite": "^7"}})


def web(folder: str) -> dict[str, str]:
    return {f"{folder}package.json": WEB, f"{folder}index.html": "<html></html>", f"{folder}main.jsx": "render();\n"}


def names(root: Path) -> dict[str, str]:
    [report] = app.check(app.Request(root=root, environments=("staging",)))
    for item in report.findings:
        where = {place.path for place in item.evidence if place.path}
        assert item.component != "shop" or not any("package.json" in path or ".jsx" in path for path in where), item
    return {item.name: item.ecosystem for item in report.components}


@pytest.mark.parametrize(
    ("folder", "wanted"), [("static/shop/", "static-shop"), ("shop/", "shop-web"), ("", "shop-web"), ("web/", "web")]
)
def test_a_front_end_that_is_called_as_the_service_is_gets_its_own_name(
    tmp_path: Path, folder: str, wanted: str
) -> None:
    write(tmp_path, {**API, **web(folder)})
    assert names(tmp_path) == {"shop": "pypi", wanted: "npm"}


def test_a_front_end_is_called_as_the_settings_call_it(tmp_path: Path) -> None:
    settings = "components:\n  - {name: api, path: .}\n  - {name: pages, path: static/shop}\n"
    write(tmp_path, {**API, **web("static/shop/"), "requirements.txt": SDK, "sentry-audit.yaml": settings})
    assert names(tmp_path) == {"api": "pypi", "pages": "npm"}
