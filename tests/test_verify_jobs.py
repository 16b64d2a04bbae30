"""Jobs: run to their end only when they are named, and proven by an error that nothing catches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from sentry_audit.facts import Component
from sentry_audit.proofs import NAMES
from sentry_audit.verifying.plan import plan
from sentry_audit.verifying.running import Wishes
from tests.verifying import copied, prove

if TYPE_CHECKING:
    from pathlib import Path

DSN = 'dsn=os.environ.get("SENTRY_DSN")'
START = "    if sys.argv[1:]"
GREEN = {"init", "error", "environment", "release"}


def test_a_sound_job_shows_all_that_it_can(tmp_path: Path) -> None:
    found = prove(copied("job", tmp_path), names=frozenset(NAMES), component="app")
    assert (found.red, found.unknown) == ({}, set())
    assert found.shown == GREEN


def test_a_job_that_was_not_named_is_not_executed(tmp_path: Path) -> None:
    root = copied("job", tmp_path, {"nightly.py": (START, f"    open('ran', 'w').close()\n{START}")})
    found = prove(root)
    assert found.unknown == set(NAMES)
    assert "name it to have it executed (--component app)" in found.proofs["init"].unknown
    assert not (root / "ran").exists()


#: What is broken: the old text and the new one, the proof that is red and its reason.
BROKEN = {
    "an empty DSN": (DSN, 'dsn=""', "init", "no-dsn"),
    "no init": ("sentry_sdk.init(", "dict(", "init", "no-init"),
    "a DSN that is none": (DSN, 'dsn="https://nothing"', "init", "bad-dsn"),
    "no integrations": (f"    {DSN},\n", f"    {DSN},\n    default_integrations=False,\n", "error", "no-integration"),
    "another excepthook": (START, f"    sys.excepthook = lambda *_: None\n{START}", "error", "not-captured"),
    "a hook that drops everything": (
        f"    {DSN},\n",
        f"    {DSN},\n    before_send=lambda *_: None,\n",
        "error",
        "before-send-dropped",
    ),
    "another environment": ('os.environ.get("SENTRY_ENVIRONMENT")', '"production"', "environment", "wrong-environment"),
    "a release that is a constant": ('os.environ.get("SENTRY_RELEASE")', '"latest"', "release", "no-release"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_job_that_is_broken_in_one_way_is_red_for_just_that(how: str, tmp_path: Path) -> None:
    old, new, proof, reason = BROKEN[how]
    found = prove(copied("job", tmp_path, {"nightly.py": (old, new)}), component="app")
    assert found.red == {proof: reason}, [item.problem for item in found.proofs.values()]


def test_an_error_of_its_own_is_the_proof(tmp_path: Path) -> None:
    root = copied("job", tmp_path, {"nightly.py": (START, f"    open('orders.csv')\n{START}")})
    found = prove(root, component="app")
    assert found.shown == GREEN
    [probe] = found.seen.probes
    assert probe.what == "an error of the job's own (FileNotFoundError)"


def test_a_job_that_does_not_end_is_interrupted(tmp_path: Path) -> None:
    root = copied("job", tmp_path, {"nightly.py": (START, f"    import time\n    time.sleep(600)\n{START}")})
    found = prove(root, component="app", wishes=Wishes(python=sys.executable, timeout=2))
    assert found.shown == GREEN
    [probe] = found.seen.probes
    assert probe.what == "an error that nothing catches, after 2 seconds of the job"


def test_a_job_that_is_slow_to_come_to_its_init_is_not_interrupted_before_it(tmp_path: Path) -> None:
    root = copied(
        "job", tmp_path, {"nightly.py": ("import sentry_sdk", "import time; time.sleep(2)\nimport sentry_sdk")}
    )
    found = prove(root, component="app", wishes=Wishes(python=sys.executable, timeout=0.5))
    assert found.shown == GREEN


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (
            "import no_such_module\nimport sentry_sdk",
            "ended with ModuleNotFoundError before it came to init: No module named 'no_such_module'",
        ),
        ("raise SystemExit('no settings')\nimport sentry_sdk", "ended with 1 before it came to init: no settings"),
        ("os._exit(3)\nimport sentry_sdk", "ended with 3, and not at its own end"),
    ],
)
def test_a_job_that_does_not_run_here_is_unknown(new: str, told: str, tmp_path: Path) -> None:
    found = prove(copied("job", tmp_path, {"nightly.py": ("import sentry_sdk", new)}), component="app")
    assert (found.red, found.unknown) == ({}, set(NAMES))
    assert told in found.proofs["init"].unknown


@pytest.mark.parametrize(
    ("start", "entry", "argv", "folder"),
    [
        (("python", "-u", "-W", "ignore", "job.py", "--once"), "api/job.py", "job.py --once", "api"),
        (("python", "-m", "shop.nightly", "x"), "api/shop/nightly.py", "-m shop.nightly x", "api"),
        (("job.py",), "api/job.py", "job.py", "api"),
        ((), "api/job.py", "api/job.py", ""),
    ],
)
def test_how_a_job_is_run(start: tuple[str, ...], entry: str, argv: str, folder: str) -> None:
    component = Component(name="api", path="api", entry_point=entry, start=start, role="job", server="python")
    boot = plan(component, "py", 7, named=True)
    assert (" ".join(boot.argv), boot.folder) == (f"py -m sentry_audit_job {argv}", folder)
