"""A new user: the README's own commands, on a wheel in an empty virtual environment, up to a green gate."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_KEPT = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT")
#: What each command of sentry-audit in the README ends with.
EXITS = {"check": [1, 0], "fix": [0], "undo": [0]}


def commands() -> list[str]:
    """The lines of the first block under "Start"."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## Start\n.*?^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block
    return [line.partition(" #")[0].strip() for line in block[1].splitlines()]


def test_the_start_of_the_readme_leads_to_a_green_gate(tmp_path: Path) -> None:
    lines = commands()
    assert len(lines) < 10
    source = tmp_path / "sentry-audit"
    ignored = shutil.ignore_patterns(".git", ".venv", "*cache*", "__pycache__", "dist", "tests")
    shutil.copytree(ROOT, source, ignore=ignored)
    wanted = {name: list(codes) for name, codes in EXITS.items()}
    script = [f"cd {shlex.quote(str(source))}"]
    for line in lines:
        words = shlex.split(line)
        code = wanted[words[1]].pop(0) if words[0] == "sentry-audit" else 0
        script.append(
            f"echo {shlex.quote('$ ' + line)}\ncode=0\n{line} || code=$?\nif [ $code != {code} ]; then exit 99; fi"
        )
        if line.startswith("cp "):
            script.append("cp -r . ../before")
    assert not any(wanted.values())
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT READY" in done.stdout
    assert "made in run" in done.stdout
    same = subprocess.run(["diff", "-r", "-x", ".sentry-audit", "before", "shop"], cwd=tmp_path, check=False)
    assert same.returncode == 0
    installed = next((source / ".venv").glob("lib/python*/site-packages/sentry_audit"))
    assert (installed / "data" / "checks.yaml").is_file()


@pytest.mark.parametrize("line", commands())
def test_the_commands_can_be_copied(line: str) -> None:
    assert "$" not in line
    assert shlex.split(line)
