"""Applications of tests/apps, whole or broken in one way, booted and proven."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.auditing import Request
from sentry_audit.proofs import NAMES, judge
from sentry_audit.verifying import running
from sentry_audit.verifying.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sentry_audit.facts import Proof
    from sentry_audit.seen import Observed

APPS = Path(__file__).parent / "apps"
#: What takes longest is left out where it is not what a test is about.
QUICK = frozenset(NAMES) - {"shutdown"}


class Proven(Struct):
    """What came of an application: its proofs by name, and what was seen."""

    proofs: dict[str, Proof]
    seen: Observed

    @property
    def red(self) -> dict[str, str]:
        """The proofs that failed, with the reason of each."""
        return {name: item.reason for name, item in self.proofs.items() if item.problem}

    @property
    def shown(self) -> set[str]:
        """The proofs that were made."""
        return {name for name, item in self.proofs.items() if item.shown}

    @property
    def unknown(self) -> set[str]:
        """The proofs that nothing is known of."""
        return {name for name, item in self.proofs.items() if item.unknown}


def copied(name: str, folder: Path, edits: Mapping[str, tuple[str, str]] | None = None) -> Path:
    """The application ``name`` of tests/apps in ``folder``; ``edits`` are (old text, new text) by path."""
    root = folder / name
    shutil.copytree(APPS / name, root, ignore=shutil.ignore_patterns("__pycache__"))
    for path, (old, new) in (edits or {}).items():
        text = (root / path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        (root / path).write_text(text.replace(old, new), encoding="utf-8")
    return root


def prove(
    root: Path,
    *,
    environment: str = "staging",
    names: Collection[str] = QUICK,
    wishes: running.Wishes | None = None,
    locks: Mapping[str, tuple[str, ...]] | None = None,
    component: str = "",
) -> Proven:
    """Boot the only component of ``root`` with this interpreter, and judge it; ``component`` names it, as jobs need."""
    wishes = wishes or running.Wishes(python=sys.executable)
    named = (component,) if component else ()
    request = Request(root=root, environments=(environment,), components=named, proofs=True)
    prepared = running.prepare(request, wishes, locks)
    (subject,) = prepared.subjects
    with Sink() as sink:
        seen = running.observe(subject, root, sink, wishes, names)
    seen = running.undeployed(seen, prepared.tree.listed, root)
    proofs = judge(seen, subject.expected)
    assert [item.name for item in proofs] == list(NAMES)
    return Proven({item.name: item for item in proofs}, seen)


def python_with(folder: Path, *wanted: str) -> str:
    """An interpreter in ``folder`` with what these tests have, and before it what pip installs for ``wanted``.

    For what would slow down every application if it stood among theirs: the SDK imports whatever it knows.
    """
    packages, home = folder / "packages", folder / "venv"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    venv.create(home, symlinks=True)
    site = next(home.glob("lib/python*/site-packages"))
    # The first of two packages of one name wins.
    (site / "packages.pth").write_text(f"{packages}\n{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    return str(home / "bin" / "python")
