"""``fix`` on the command line, killed (SIGKILL) at every call and every line of its journal: real clients, real gRPC.

Afterwards ``fix --resume`` or ``undo`` on the command line ends in what would have been, or in what was.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.gcp_server import messages
from tests.gcp_server.building import redeploy, route
from tests.gcp_server.messages import to_revision
from tests.killing import Cloud, Program
from tests.plans import snapshot
from tests.trees import write
from tests.worlds import API, FILES, KEY, STAGING, everything_right

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.gcp_server.state import State
    from tests.killing import Ended

#: The calls that change something; a service is changed twice each time, first on trial.
CHANGES = {
    "CreateSecret",
    "UpdateSecret",
    "AddSecretVersion",
    "SetIamPolicy",
    "UpdateService",
    "DisableSecretVersion",
    "DeleteSecret",
}
ONLY = "backend-sdk-declared,release-set,secret-dsn-*,cloud-run-dsn-env,cloud-run-environment-env"
PARTS = 3


def world() -> State:
    """A service without the DSN, whose traffic is pinned, and no secret."""
    state = everything_right()
    project = state.projects["shop-staging"]
    del project.secrets["sentry-dsn-staging"]
    old = redeploy(project, API, messages.template(env={}, cpu_idle=False)).latest_ready_revision
    route(project, API, to_revision(old.rpartition("/")[2]))
    return state


def look(state: State) -> dict[str, Any]:
    project = state.projects["shop-staging"]
    service = project.services[API]
    secrets = {
        name: (
            [(version.payload.decode(), version.state) for version in item.versions],
            [(binding.role, *binding.members) for binding in item.policy.bindings],
            item.labels,
        )
        for name, item in project.secrets.items()
    }
    served = {item.revision or "latest": item.percent for item in service.traffic_statuses}
    return {
        "secrets": secrets,
        "template": str(service.template),
        "traffic": str(service.traffic),
        "serves": served,
        "notes": sorted(service.annotations),
        "revisions": len(project.revisions),
    }


def deploy_something(state: State) -> None:
    """Somebody else deploys the service."""
    project = state.projects["shop-staging"]
    template = messages.clone(project.services[API].template)
    template.containers[0].env.add(name="THEIRS", value="1")
    redeploy(project, API, template)


class Scene:
    """A repository, its cloud and a saved plan; and what they are before and after that plan."""

    def __init__(self, folder: Path, cloud: Cloud, program: Program) -> None:
        self.root, self.plan, self.cloud, self.program = folder / "root", folder / "plan.json", cloud, program
        self.tree()
        made = self.run("fix", self.root, "--env", "staging", "--plan", self.plan, "--only", ONLY)
        assert made.code == 0, made
        self.before = snapshot(self.root), self.things()
        self.cloud.arm()
        applied = self.apply()
        assert (applied.code, KEY in applied.out + applied.err) == (1, False), applied  # gaps that ONLY leaves
        assert "made in run" in applied.out
        self.after = snapshot(self.root), self.things()
        self.calls = self.cloud.seen()
        self.calls = self.calls[: len(self.calls) - self.calls[::-1].index("UpdateService") + 2]
        self.lines = next(self.root.glob(".sentry-audit/runs/*/journal.jsonl")).read_text().count("\n")

    def tree(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        write(self.root, FILES | {"requirements.txt": "fastapi\nuvicorn\n"})

    def again(self) -> None:
        self.tree()
        self.cloud.again()

    def run(self, *arguments: str | Path, **where: Any) -> Ended:
        return self.program.run(*arguments, "--gcp-endpoint", self.cloud.endpoint, **where)

    def apply(self, **where: Any) -> Ended:
        """The saved plan: nothing is audited before it is applied."""
        return self.run("fix", self.root, "--plan", self.plan, "--dsn-from", "env:DSN", **where)

    def resume(self, **where: Any) -> Ended:
        return self.run("fix", self.root, "--resume", "--dsn-from", "env:DSN", **where)

    def undo(self, **where: Any) -> Ended:
        return self.run("undo", "--root", self.root, "--yes", **where)

    def killed(self, what: Callable[..., Ended], point: tuple[str, int]) -> None:
        """Do something, and be killed at ``point``."""
        kind, number = point
        if kind in {"line", "half line"}:
            ended = what(line=number, half=kind == "half line")
        else:
            ended = what(ready=lambda process: self.cloud.arm(process, number, effect=kind == "after"))
        assert ended.code == -signal.SIGKILL, (point, ended)

    def things(self) -> dict[str, Any]:
        return dict(self.cloud.look())

    def is_before(self) -> bool:
        files, things = snapshot(self.root), self.things()
        return files == self.before[0] and things | {"revisions": 0} == self.before[1] | {"revisions": 0}

    def is_after(self) -> bool:
        return (snapshot(self.root), self.things()) == self.after

    def points(self, ways: tuple[str, ...], *, changes: bool = False) -> list[tuple[str, int]]:
        """Where it can be killed: at calls (only those that change something), at lines, and within lines."""
        numbers = [number for number, name in enumerate(self.calls) if not changes or name in CHANGES]
        calls = [(way, number) for way in ways if "line" not in way for number in numbers]
        return calls + [(way, number) for way in ways if "line" in way for number in range(self.lines)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("killed")
    env = {"DSN": STAGING, "COLUMNS": "80", "GRPC_VERBOSITY": "NONE"}
    with Cloud(world, look) as cloud, Program(folder, env) as program:
        yield Scene(folder, cloud, program)


def test_everything_that_a_run_can_do_is_among_what_is_killed(scene: Scene) -> None:
    assert CHANGES - {"DisableSecretVersion", "DeleteSecret"} <= set(scene.calls)
    assert scene.calls.count("UpdateService") == 4
    assert scene.lines == 2 + 2 * 2 + 5 * 3
    assert scene.after[1]["secrets"]["sentry-dsn-staging"][0] == [(STAGING, "ENABLED")]
    assert scene.after[1]["serves"] == {"latest": 100}


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_anywhere_then_undone(scene: Scene, part: int) -> None:
    points = [*scene.points(("before",), changes=True), *scene.points(("after", "line"))]
    for point in points[part::PARTS]:
        scene.again()
        scene.killed(scene.apply, point)
        undone = scene.undo()
        if point == ("line", 0):
            assert (undone.code, undone.err.splitlines()[0]) == (2, "error: there is no run to undo here")
        else:
            assert (undone.code, "error" in undone.err) == (0, False), point
            assert scene.undo().code == 2  # there is nothing left to undo
        assert scene.is_before(), point


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_anywhere_then_resumed(scene: Scene, part: int) -> None:
    points = [*scene.points(("after",), changes=True), *scene.points(("half line",))]
    for point in points[part::PARTS]:
        scene.again()
        scene.killed(scene.apply, point)
        done = scene.resume()
        if point == ("half line", 0):
            assert (done.code, done.err.splitlines()[0]) == (2, "error: no run was ended in the middle")
            assert scene.is_before()
            continue
        assert (done.code, "error" in done.err) == (1, False), (point, done)
        assert scene.is_after(), point
        again = scene.resume()
        assert (again.code, "no run was ended in the middle" in again.err) == (2, True)
    scene.cloud.arm()
    idle = scene.run("fix", scene.root, "--env", "staging", "--only", ONLY, "--yes")
    assert (idle.code, "Nothing is to be fixed" in idle.out) == (0, True), idle
    assert not CHANGES & set(scene.cloud.seen())


def test_killed_while_it_is_undone(scene: Scene) -> None:
    scene.again()
    scene.killed(scene.apply, ("line", scene.lines - 1))
    scene.cloud.arm()
    assert scene.undo().code == 0
    calls = scene.cloud.seen()
    assert {"DisableSecretVersion", "DeleteSecret"} <= set(calls)
    for number in [number for number, name in enumerate(calls) if name in CHANGES]:
        scene.again()
        scene.killed(scene.apply, ("line", scene.lines - 1))
        scene.killed(scene.undo, ("after", number))
        if number % 2:
            scene.killed(scene.undo, ("before", 0))
        undone = scene.undo()
        assert (undone.code, "error" in undone.err) == (0, False), (calls[number], undone)
        assert scene.is_before(), calls[number]


def test_somebody_deploys_between_the_plan_and_its_apply(scene: Scene) -> None:
    scene.again()
    scene.cloud.change(deploy_something)
    theirs = scene.things()
    ended = scene.apply()
    assert ended.code == 6
    assert "was changed since it was looked at: it is left as it is" in ended.err
    assert "everything is as it was before" in ended.err
    assert scene.things() == theirs
    assert snapshot(scene.root) == scene.before[0]


@pytest.mark.parametrize("way", ["resume", "undo"])
def test_somebody_deploys_after_it_was_killed(scene: Scene, way: str) -> None:
    """After the service was updated, before that is in the journal: theirs stays, whichever way is gone."""
    last = len(scene.calls) - scene.calls[::-1].index("UpdateService") - 1
    scene.again()
    scene.killed(scene.apply, ("after", last - 3))
    scene.cloud.change(deploy_something)
    theirs = scene.things()
    ended = getattr(scene, way)()
    assert ended.code in {5, 6}
    told = " ".join((ended.err + ended.out).split())
    assert re.search(r"was changed since .*: it is left as it is", told), ended
    now = scene.things()
    assert (now["template"], now["traffic"]) == (theirs["template"], theirs["traffic"])
    assert now["secrets"] == theirs["secrets"]  # what they deployed still reads the secret
    assert "it stays as long as shop-api-staging is not taken back" in told
    assert snapshot(scene.root) == scene.before[0]


def test_the_program_itself_is_killed_and_started_again(scene: Scene) -> None:
    """No fork, nothing loaded before: three processes of their own."""
    scene.again()
    number = scene.calls.index("AddSecretVersion")
    base = [sys.executable, "-m", "sentry_audit"]
    more = ["--gcp-endpoint", scene.cloud.endpoint, "--dsn-from", "env:DSN"]
    env = os.environ | {"DSN": STAGING}
    quiet: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": env}
    with subprocess.Popen([*base, "fix", str(scene.root), "--plan", str(scene.plan), *more], **quiet) as first:
        scene.cloud.arm(first.pid, number, effect=True)
        first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    assert scene.things()["secrets"]["sentry-dsn-staging"][0] == [(STAGING, "ENABLED")]
    second = subprocess.run([*base, "fix", str(scene.root), "--resume", *more], check=False, **quiet)
    assert (second.returncode, "error" in second.stderr) == (1, False), second
    assert scene.is_after()
