"""One release for both ends: what is not made from the commit is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.fixers import sharing
from tests.fixing_deploy import fixed, refused

if TYPE_CHECKING:
    from pathlib import Path

API = {
    "api/requirements.txt": "fastapi\nsentry-sdk>=2.64,<3\n",
    "api/main.py": "import sentry_sdk\nsentry_sdk.init()\nfrom fastapi import FastAPI\napp = FastAPI()\n",
}
WEB = {
    "web/package.json": '{"version": "1.2.3", "scripts": {"build": "next build"},'
    ' "dependencies": {"next": "15.3.0", "@sentry/nextjs": "^10"}}',
    "web/instrumentation-client.ts": "import * as Sentry from '@sentry/nextjs';\n"
    "Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN, release: process.env.NEXT_PUBLIC_RELEASE });\n",
    "web/Dockerfile": "FROM node:22\nWORKDIR /app\nCOPY . .\nARG NEXT_PUBLIC_SENTRY_DSN\nARG NEXT_PUBLIC_RELEASE\n"
    'RUN npm run build\nCMD ["npm", "start"]\n',
}
PATH = ".github/workflows/deploy.yml"


def workflow(front: str, back: str) -> str:
    return (
        "on: push\njobs:\n  web:\n    runs-on: ubuntu-latest\n    steps:\n    - uses: docker/build-push-action@v6\n"
        "      with:\n        context: web\n        push: true\n        tags: eu.gcr.io/acme/web\n        build-args: |\n"
        f"          NEXT_PUBLIC_RELEASE={front}\n    - run: gcloud run deploy web --image eu.gcr.io/acme/web\n"
        f"    - run: gcloud run deploy api --source api --update-env-vars=SENTRY_RELEASE={back},LOG_LEVEL=info\n"
    )


SHA, TAG = "${{ github.sha }}", "${{ github.ref_name }}"


def test_the_end_that_is_not_made_from_the_commit_is(tmp_path: Path) -> None:
    files = API | WEB | {PATH: workflow(SHA, "$SHORT_SHA")}
    written = fixed(tmp_path, files, "release-shared", sharing.FIXERS["release-shared"], "production")
    assert written == {PATH: workflow(SHA, SHA)}


def test_both_ends_are_made_from_the_commit_where_neither_is(tmp_path: Path) -> None:
    files = API | WEB | {PATH: workflow(TAG, "$SHORT_SHA")}
    written = fixed(tmp_path, files, "release-shared", sharing.FIXERS["release-shared"], "production")
    assert written == {PATH: workflow(SHA, SHA)}


def test_the_packages_version_in_the_browsers_code_gives_way_to_the_commit(tmp_path: Path) -> None:
    code = (
        "import * as Sentry from '@sentry/nextjs';\nimport pkg from './package.json';\n"
        "Sentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN, release: pkg.version });\n"
    )
    files = API | WEB | {"web/instrumentation-client.ts": code, PATH: workflow(SHA, SHA)}
    written = fixed(tmp_path, files, "release-shared", sharing.FIXERS["release-shared"], "production")
    assert "release: process.env.NEXT_PUBLIC_SENTRY_RELEASE });" in written["web/instrumentation-client.ts"]
    assert "ARG NEXT_PUBLIC_SENTRY_RELEASE\n" in written["web/Dockerfile"]
    assert f"          NEXT_PUBLIC_SENTRY_RELEASE={SHA}\n" in written[PATH]


def test_a_version_in_pythons_code_is_left_to_a_person(tmp_path: Path) -> None:
    code = "import importlib.metadata\n" + API["api/main.py"].replace(
        "init()", "init(release=importlib.metadata.version('api'))"
    )
    files = API | {"api/main.py": code} | WEB | {PATH: workflow(SHA, SHA)}
    refusal = refused(tmp_path, files, "release-shared", sharing.FIXERS["release-shared"], "production")
    assert "let it be the commit" in refusal.reason
