"""Pipelines run as their runners would: the shell of their steps, on the wheel, with nothing but their variables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
_KEPT = ("PATH", "HOME", "LANG")
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


@cache
def wheel(folder: Path) -> Path:
    """The project's wheel, built into ``folder``."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(folder.glob("sentry_audit-*.whl"))


def environment(built: Path, **variables: str) -> dict[str, str]:
    """What a step sees: pip finds only the wheel, whose dependencies are those of these tests."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    pip = {
        "PIP_NO_DEPS": "1",
        "PIP_IGNORE_INSTALLED": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(built.parent),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return {**kept, **pip, "PYTHONPATH": sysconfig.get_paths()["purelib"], **variables}


def shell(script: str, folder: Path, variables: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``script`` as GitHub's runner does (``bash -eo pipefail``), unless ``options`` say otherwise."""
    command = ["bash", "--noprofile", "--norc", *(options or ("-eo", "pipefail")), "-c", script]
    return subprocess.run(
        command, cwd=folder, env=dict(variables), capture_output=True, text=True, check=False, timeout=300
    )


def document(path: str) -> Any:
    """A YAML file of this project."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


class Action:
    """The composite action of this repository, on a runner whose folders are below ``place``, which is there.

    It is installed once in a ``place``: that takes longer than all the rest.
    """

    def __init__(self, place: Path, built: Path, **variables: str) -> None:
        self.place, self.built, self.variables = place, built, variables
        self.document = document("action.yml")

    def run(self, folder: Path, **inputs: str) -> tuple[int, str, str, dict[str, str]]:
        """(exit code, log, job summary, outputs) of all its steps with ``inputs`` (``_`` for ``-``)."""
        given = {name: item.get("default", "") for name, item in self.document["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        known = {f"inputs.{name}": value for name, value in given.items()} | {"github.action_path": str(self.built)}
        files = {name: self.place / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in self.place.iterdir():  # nothing that another run reported is taken for this one's
            if file.is_file():
                file.unlink()
        for file in files.values():
            file.write_text("", encoding="utf-8")
        log, code = "", 0
        for step in self.document["runs"]["steps"]:
            assert "${{" not in step["run"]
            if "pip install" in step["run"] and (self.place / "sentry-audit").is_dir():
                continue
            own = {name: _EXPRESSION.sub(lambda found: known[found[1]], text) for name, text in step["env"].items()}
            seen = {name: str(file) for name, file in files.items()}
            variables = environment(self.built, RUNNER_TEMP=str(self.place), **seen, **own, **self.variables)
            done = shell(step["run"], folder, variables)
            log, code = log + done.stdout + done.stderr, done.returncode
            if code:
                break
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines())
        return code, log, files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8"), outputs
