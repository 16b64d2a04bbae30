"""How long and how much, as ratios against named peers in the same run.

Usage: ``python benchmarks/offline.py [--files 10000]``. Makes a repository of Python files in a temporary
folder, then times whole processes (Python's start included), the best of fifteen each,
taking turns with the peer:

- ``check --offline`` against ``rg -il sentry .`` on the same tree, and its peak memory;
- the same when the tree also holds a front end (600 components) and deployments (Cloud Build, a workflow, a script, Terraform);
- ``--version`` and ``--help`` against ``python -c pass``.

The tool's bytecode is compiled first, as ``pip install`` does.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: How often each command runs.
TIMES = 15
_MODULE = '''"""Module {index}."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from shop.part{other:02d} import helpers

logger = logging.getLogger(__name__)


@dataclass
class Record{index}:
    name: str
    amount: int = {index}

    def total(self, tax: float) -> float:
        """What is to be paid."""
        if self.amount < 0:
            raise ValueError(self.name)
        return helpers.rounded(self.amount * (1 + tax))


def load(rows: list[dict[str, str]]) -> list[Record{index}]:
    found = []
    for row in rows:
        try:
            found.append(Record{index}(row["name"], int(row["amount"])))
        except (KeyError, ValueError):
            logger.warning("row %s is left out", row)
    return found
'''
_MAIN = """import sentry_sdk
from fastapi import FastAPI

from shop.config import settings
from shop.part01 import module00001

sentry_sdk.init(dsn=settings.sentry_dsn, environment=settings.environment)
app = FastAPI()
"""
_CONFIG = """from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    environment: str = "development"
    sentry_dsn: str | None = None


settings = Settings()
"""


def make(root: Path, files: int) -> None:
    """A git checkout of ``files`` modules in a hundred packages, of which 2 % mention Sentry, and half as many other files."""
    chance = random.Random(7)
    shop = root / "shop"
    for part in range(100):
        (shop / f"part{part:02d}").mkdir(parents=True)
        (shop / f"part{part:02d}" / "__init__.py").write_text("")
        (shop / f"part{part:02d}" / "helpers.py").write_text(
            "def rounded(value: float) -> float:\n    return round(value, 2)\n"
        )
    for index in range(files):
        copies = 1 + int(chance.expovariate(0.2))  # about 6 KB on average, as in public repositories
        text = "".join(_MODULE.format(index=index + copy, other=chance.randrange(100)) for copy in range(copies))
        text = text.replace("\nfrom __future__ import annotations\n", "", copies - 1) if copies > 1 else text
        if chance.random() < 0.02:
            text += "\n\ndef report(error: Exception) -> None:\n    import sentry_sdk\n\n    sentry_sdk.capture_exception(error)\n"
        (shop / f"part{index % 100:02d}" / f"module{index:05d}.py").write_text(text)
    # Public repositories hold about one other file for two of Python (median of those that the tool was tried on: 0.6).
    for index in range(files // 2):
        folder = root / "web" / f"part{index % 50:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"page{index:05d}.{('json', 'md', 'ts')[index % 3]}").write_text(f"line {index} of a page\n" * 150)
    (shop / "__init__.py").write_text("")
    (shop / "main.py").write_text(_MAIN)
    (shop / "config.py").write_text(_CONFIG)
    (root / "requirements.txt").write_text("fastapi\nsentry-sdk>=2.64,<3\n")
    (root / "Dockerfile").write_text(
        'FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["uvicorn", "shop.main:app"]\n'
    )
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "-qm", "b"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)


_INIT = """import * as Sentry from '@sentry/nextjs';

Sentry.init({
  dsn: process.env.NEXT_PUBLIC_SENTRY_DSN,
  environment: process.env.NEXT_PUBLIC_ENVIRONMENT,
  tracesSampleRate: Number(process.env.NEXT_PUBLIC_RATE ?? 0.1),
});
"""
_COMPONENT = """import {{ useEffect, useState }} from 'react';
import {{ Part{other} }} from './part{other}';

export function Part{index}({{ items }}: {{ items: string[] }}) {{
  const [open, setOpen] = useState(false);
  useEffect(() => {{
    document.title = `${{items.length}} items`;
  }}, [items]);
  return (
    <section onClick={{() => setOpen(!open)}}>
      {{open && items.map((item) => <p key={{item}}>{{item}}</p>)}}
      <Part{other} items={{items}} />
    </section>
  );
}}
"""
_ERROR = """'use client';
import * as Sentry from '@sentry/nextjs';
import { useEffect } from 'react';

export default function Failed({ error }: { error: Error }) {
  useEffect(() => {
    Sentry.captureException(error);
  }, [error]);
  return <p>Sorry</p>;
}
"""
_WORKFLOW = """on: {push: {branches: [main]}}
jobs:
  deploy:
    environment: staging
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
      - run: docker build --build-arg NEXT_PUBLIC_SENTRY_DSN=${{ vars.DSN }} -t eu.gcr.io/shop/site site
      - run: gcloud run deploy site --image eu.gcr.io/shop/site --update-env-vars SENTRY_ENVIRONMENT=staging
"""
_TERRAFORM = """variable "environment" {}
resource "google_secret_manager_secret" "dsn" { secret_id = "sentry-dsn-${var.environment}" }
resource "google_cloud_run_v2_service" "api" {
  name = "api-${var.environment}"
  template {
    containers {
      image = "eu.gcr.io/shop/api"
      env {
        name = "SENTRY_DSN"
        value_source { secret_key_ref { secret = google_secret_manager_secret.dsn.secret_id } }
      }
    }
  }
}
"""
_DEPLOY = "#!/bin/sh\ngcloud run deploy api --source . --set-secrets=SENTRY_DSN=sentry-dsn-$1:latest\n"
_BUILD = """steps:
- name: gcr.io/cloud-builders/docker
  args: [build, -t, eu.gcr.io/shop/api, .]
- name: gcr.io/google.com/cloudsdktool/cloud-sdk
  entrypoint: gcloud
  args: [run, deploy, api, --image, eu.gcr.io/shop/api, '--update-secrets=SENTRY_DSN=sentry-dsn:latest']
"""


def add_front_end(root: Path) -> None:
    """A Next.js front end of 600 components, and what deploys it and the API."""
    site = root / "site"
    components = site / "components"
    components.mkdir(parents=True)
    for index in range(600):
        text = _COMPONENT.format(index=index, other=(index + 1) % 600)
        (components / f"part{index}.tsx").write_text(text)
    (site / "app").mkdir()
    layout = "import { Part0 } from '../components/part0';\nexport default () => <Part0 items={[]} />;\n"
    (site / "app" / "layout.tsx").write_text(layout)
    for name in ("error", "global-error"):
        (site / "app" / f"{name}.tsx").write_text(_ERROR)
    (site / "instrumentation-client.ts").write_text(_INIT)
    packages = '{"next": "15.3.0", "react": "19.0.0", "@sentry/nextjs": "^10.0.0"}'
    (site / "package.json").write_text(f'{{"scripts": {{"build": "next build"}}, "dependencies": {packages}}}')
    (site / "Dockerfile").write_text(
        "FROM node:22\nARG NEXT_PUBLIC_SENTRY_DSN\nCOPY . .\nRUN npm ci && npm run build\n"
    )
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / ".github" / "workflows" / "deploy.yml").write_text(_WORKFLOW)
    (root / "terraform").mkdir()
    (root / "terraform" / "main.tf").write_text(_TERRAFORM)
    (root / "terraform" / "staging.tfvars").write_text('environment = "staging"\n')
    (root / "deploy.sh").write_text(_DEPLOY)
    (root / "cloudbuild.yaml").write_text(_BUILD)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)


def once(command: list[str], folder: Path) -> tuple[float, float]:
    """(wall time in seconds, peak memory in MB) of one run of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    complaint = process.stderr.read() if process.stderr is not None else b""
    if process.returncode not in {0, 1} or complaint:
        sys.stderr.buffer.write(complaint)
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def compare(name: str, command: list[str], peer: list[str], folder: Path, limit: float) -> float:
    """Print the ratio of the best times of a command and its peer; returns the command's peak memory in MB.

    They take turns, so that a machine that slows down meanwhile slows both.
    """
    there = shutil.which(peer[0]) is not None
    mine, others = [], []
    for _ in range(TIMES):
        mine.append(once(command, folder))
        if there:
            others.append(once(peer, folder)[0])
    seconds = min(found[0] for found in mine)
    if there:
        row(name, seconds, " ".join((Path(peer[0]).name, *peer[1:])), min(others), limit)
    else:
        print(f"{name:<18} {seconds * 1000:7.0f} ms   ({peer[0]} is not installed: no ratio)")
    return max(found[1] for found in mine)


def row(name: str, seconds: float, peer: str, other: float, limit: float) -> None:
    """Print one ratio."""
    ratio = seconds / other
    verdict = "ok" if ratio <= limit else "TOO SLOW"
    print(
        f"{name:<18} {seconds * 1000:7.0f} ms   {peer:<18} {other * 1000:7.0f} ms   {ratio:5.1f}x (limit {limit:g}x)  {verdict}"
    )


def compiled() -> None:
    """Keep the bytecode of what is timed, in a folder of its own."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="bytecode")


def main() -> None:
    """Run the benchmark and print its ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="make the tree here and leave it")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp())
    if not (folder / "shop").exists():
        folder.mkdir(exist_ok=True)
        make(folder, options.files)
    compiled()
    tool = [sys.executable, "-m", "sentry_audit"]
    installed = Path(sys.executable).with_name("sentry-audit")
    tool = [str(installed)] if installed.exists() else tool
    try:
        nothing = [sys.executable, "-c", "pass"]
        check = [*tool, "check", ".", "--env", "staging", "--offline"]
        search = ["rg", "-il", "sentry", "."]
        compare("--version", [*tool, "--version"], nothing, folder, 4)
        compare("--help", [*tool, "--help"], nothing, folder, 12)
        memory = compare("check --offline", check, search, folder, 5)
        print(f"peak memory        {memory:7.0f} MB   (limit 200 MB)")
        if not (folder / "site").exists():
            add_front_end(folder)
        memory = compare("with a front end", check, search, folder, 12)
        print(f"peak memory        {memory:7.0f} MB   (limit 200 MB)")
    finally:
        shutil.rmtree(os.environ["PYTHONPYCACHEPREFIX"], ignore_errors=True)
        if options.keep is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
