"""Front ends whose files are broken, huge, minified, oddly encoded: read where that can be, else unknown with the place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.test_frontend import INIT, next_app
from tests.trees import audit, findings, message, statuses, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRESENT = "frontend-init-present"
GOOD = next_app(**{"instrumentation-client.ts": INIT})
ENTRY = "web/instrumentation-client.ts"
MANIFEST = "web/package.json"


def encoded(encoding: str) -> Callable[[str], bytes]:
    return lambda text: text.encode(encoding)


@pytest.mark.parametrize("path", [ENTRY, MANIFEST])
@pytest.mark.parametrize(
    "change",
    [
        encoded("utf-8-sig"),
        encoded("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: f"\n\n{text}\n\n".encode(),
    ],
)
def test_what_can_be_read_is_read(tmp_path: Path, path: str, change: Callable[[str], bytes]) -> None:
    write(tmp_path, GOOD)
    (tmp_path / path).write_bytes(change(GOOD[path]))
    assert statuses(audit(tmp_path, {}), PRESENT, "web") == {"pass"}


@pytest.mark.parametrize(
    "text",
    [
        b"import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: \n",
        b"import * as Sentry from '@sentry/nextjs';\n<<<<<<< HEAD\nSentry.init({});\n=======\n>>>>>>> other\n",
        b"import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: {{ dsn }} });\n",
        b"import * as Sentry from '@sentry/nextjs';\nSentry.init({\x00 dsn: 'x' });\n",
        b"import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: '" + b"x" * 3_000_000 + b"' });\n",
        b"import * as Sentry from '@sentry/nextjs';Sentry.init({dsn:process.env.NEXT_PUBLIC_SENTRY_DSN});"
        + b"a();" * 9_000,
        b"import * as Sentry from '@sentry/nextjs';\n" + b"(" * 5_000 + b"Sentry.init({})" + b")" * 5_000,
    ],
    ids=["broken", "conflict", "template", "nul", "huge", "minified", "deep"],
)
def test_an_entry_that_cannot_be_read_is_unknown_with_its_place(tmp_path: Path, text: bytes) -> None:
    write(tmp_path, GOOD)
    (tmp_path / ENTRY).write_bytes(text)
    report = audit(tmp_path, {})
    assert ENTRY in message(report, PRESENT)
    assert statuses(report, PRESENT, "web") == {"unknown"}
    assert report.exit_code in {1, 4}


def test_a_manifest_that_is_broken_is_told_with_its_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        {**GOOD, "api/requirements.txt": "fastapi\n", "api/main.py": "from fastapi import FastAPI\napp = FastAPI()\n"},
    )
    (tmp_path / MANIFEST).write_text('{\n "scripts": {"build": "next build"},\n "dependencies": {"next": "15"\n')
    report = audit(tmp_path, {})
    assert [(item.evidence.path, item.evidence.line) for item in report.problems] == [(MANIFEST, 4)]


def test_links_that_lead_nowhere_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "web" / "loop").symlink_to(tmp_path / "web")
    (tmp_path / "web" / "app").mkdir()
    (tmp_path / "web" / "app" / "error.tsx").symlink_to(tmp_path / "web" / "app" / "error.tsx")
    (tmp_path / "web" / "next.config.js").mkdir()
    assert statuses(audit(tmp_path, {}), PRESENT, "web") == {"pass"}


@pytest.mark.parametrize("name", ["public/vendor.js", "static/bundle.min.js", "dist/app.js"])
def test_a_bundle_is_no_evidence_of_an_init(tmp_path: Path, name: str) -> None:
    files = next_app(**{"instrumentation.ts": "export async function register() {}\n"})
    files[f"web/{name}"] = INIT.replace("\n", "") + "a();" * 20_000
    assert statuses(audit(tmp_path, files), PRESENT, "web") == {"gap"}


def test_a_configuration_with_comments(tmp_path: Path) -> None:
    files = next_app(
        **{
            "tsconfig.json": '{\n // paths\n "compilerOptions": {"baseUrl": ".", "paths": {"#lib/*": ["./lib/*"],},},\n}\n',
            "instrumentation-client.ts": "import '#lib/sentry';\n",
            "lib/sentry.ts": INIT,
        }
    )
    assert statuses(audit(tmp_path / "a", files), PRESENT, "web") == {"pass"}
    broken = {**files, "web/tsconfig.json": "{ nonsense"}
    [found] = findings(audit(tmp_path / "b", broken), PRESENT, "web")
    assert found.status.value in {"gap", "unknown"}


def test_a_manifest_of_unexpected_shapes(tmp_path: Path) -> None:
    for index, shape in enumerate(
        [[], "text", {"dependencies": ["next"]}, {"scripts": {"build": 3}, "dependencies": {"next": None}}]
    ):
        root = tmp_path / str(index)
        write(root, {"requirements.txt": "fastapi\n", "main.py": "from fastapi import FastAPI\napp = FastAPI()\n"})
        (root / "package.json").write_text(json.dumps(shape))
        assert audit(root, {}).exit_code == 1
