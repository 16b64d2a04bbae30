"""Gaps of a real repository that can only be closed together: each end of a trace needs the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.app import Request
from sentry_audit.fixing import Closed
from sentry_audit.model import Status
from sentry_audit.rehearsing import plan
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = """\
{
  "name": "web",
  "private": true,
  "scripts": { "build": "vite build" },
  "dependencies": { "@sentry/react": "9.1.0", "react": "18.3.1" },
  "devDependencies": { "vite": "5.4.0" }
}
"""
#: A list of integrations that the fix of trace-propagation does not add to: only that of frontend-tracing does.
PAGE = """\
import * as Sentry from "@sentry/react";

Sentry.init({
  dsn: import.meta.env.VITE_SENTRY_DSN,
  tracesSampleRate: 0.1,
  integrations: [Sentry.extraErrorDataIntegration()],
});

fetch(`${import.meta.env.VITE_API_URL}/items`);
"""
API = """\
import os

import sentry_sdk
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

sentry_sdk.init(dsn=os.environ.get("SENTRY_DSN"))
app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_headers=["authorization"])
"""
FILES = {
    "api/requirements.txt": "fastapi==0.115.0\nsentry-sdk==2.40.0\n",
    "api/main.py": API,
    "web/package.json": PACKAGE,
    "web/index.html": '<!doctype html><script type="module" src="/src/main.tsx"></script>\n',
    "web/src/main.tsx": PAGE,
    "web/.env.staging": "VITE_API_URL=https://api.example\n",
}
TRACING = ("backend-tracing", "frontend-tracing", "trace-propagation")


def test_both_ends_of_a_trace_begin_to_sample_at_once(tmp_path: Path) -> None:
    found = plan(Request(root=write(tmp_path, FILES), environments=("staging",)), TRACING)
    [step] = found.plan.steps
    assert step.safety == "review"
    assert set(step.closes) == {Closed("backend-tracing", "api"), Closed("frontend-tracing", "web")}
    texts = {change.path: change.after or "" for change in step.files}
    assert "traces_sample_rate=" in texts["api/main.py"]
    assert "Sentry.browserTracingIntegration()" in texts["web/src/main.tsx"]
    assert not [item for item in found.after.findings if item.check in TRACING and item.status is Status.GAP]
    assert not found.plan.left


def test_one_end_alone_is_left_with_the_reason(tmp_path: Path) -> None:
    found = plan(Request(root=write(tmp_path, FILES), environments=("staging",)), TRACING[:1])
    assert not found.plan.steps
    [left] = found.plan.left
    assert "it would open another: trace-propagation (gap: api samples traces, and the browser does not" in left.reason
