"""Every place in a repository that deploys something, read once."""

from __future__ import annotations

from posixpath import basename
from typing import TYPE_CHECKING

from sentry_audit.deployment import compose, hosts, knative, makefiles, python_commands, terraform
from sentry_audit.deployment.cloudbuild import CloudBuild, is_cloudbuild
from sentry_audit.deployment.found import Found
from sentry_audit.deployment.location import Place
from sentry_audit.deployment.makefiles import is_makefile
from sentry_audit.deployment.scripts import Scripts, is_script
from sentry_audit.deployment.settling import settled
from sentry_audit.deployment.workflows import Workflows, is_workflow
from sentry_audit.mentions import DEPLOYS
from sentry_audit.python.paths import deployed
from sentry_audit.scanners.processes import is_compose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.gcloud import Change
    from sentry_audit.python.program import Files

#: How many scripts may stand between the one that is started and the one that deploys.
_CALLS = 3


def read(files: Files) -> Found:
    """The deployments, image builds and secrets that the files of a repository declare."""
    return _Reading(files).run()


class _Reading:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.found = Found()
        self.scripts = Scripts(files, self.found)
        self.builds = CloudBuild(files, self.found, self.scripts)
        self.workflows = Workflows(files, self.found, self.scripts)
        self.scripts.follow = self._follow

    def run(self) -> Found:
        """Callers first: a script or a build that another file starts is read with what that file gives it."""
        mentioned = [path for path in self.files.search(DEPLOYS) if deployed(path) or is_workflow(path)]
        started = sorted(path for path in self.files.paths if is_workflow(path) or is_makefile(path))
        for path in started:
            self._start(path)
            if is_workflow(path):
                self.workflows.read(path)
            elif path in mentioned or self._starts(path):
                makefiles.read(self.scripts, path)
        scripts = [path for path in mentioned if is_script(path) or self._shebang(path)]
        self._add_callers(scripts)
        builds = [path for path in self.files.paths if is_cloudbuild(path)]
        for path in self._callers_first([*scripts, *builds]):
            if path in self.scripts.called:
                continue
            self._start(path)
            if is_cloudbuild(path) and not is_script(path):
                self.builds.read(path)
            else:
                self.scripts.script(path)
        for path in mentioned:
            if path.endswith(".py"):
                self._start(path)
                python_commands.read(self.files, self.scripts, path)
        for path in mentioned:
            if path.endswith((".yaml", ".yml", ".tmpl")) and path not in self.scripts.called:
                text = self.files.text(path) or ""
                if any(mark in text for mark in knative.MARKS):
                    self._start(path)
                    knative.read(self.files, self.found, path)
        self._compose()
        hosts.read(self.files, self.found)
        terraform.read(self.files, self.found)
        self.found.facts = settled(self.found.facts)
        return self.found

    def _compose(self) -> None:
        for path in sorted(filter(is_compose, self.files.paths)):
            text = self.files.text(path) if deployed(path) else None
            if text is not None:
                compose.read(self.found, path, text)

    def _start(self, path: str) -> None:
        """Begin a pipeline: what another one made is gone."""
        self.found.pipeline = path
        self.scripts.forget()

    def _add_callers(self, scripts: list[str]) -> None:
        """Add the scripts that call ``scripts``, and those that call these."""
        new = scripts
        every = sorted(filter(deployed, self.files.paths.of(".sh"))) if new else []
        for _ in range(_CALLS):
            found = self.files.among(every, [basename(path) for path in new]) if new else []
            new = [path for path in found if path not in scripts]
            scripts += new

    def _starts(self, path: str) -> bool:
        text = self.files.text(path) or ""
        return ".sh" in text and "deploy" in text

    def _shebang(self, path: str) -> bool:
        return "." not in basename(path) and (self.files.text(path) or "").startswith("#!") and not is_makefile(path)

    def _callers_first(self, paths: Sequence[str]) -> list[str]:
        """``paths`` with those that another one names after it, as far as they do not name each other."""
        texts = {path: self.files.text(path) or "" for path in paths}
        names = {path: basename(path) for path in paths}
        called = {path: sum(names[path] in texts[other] for other in paths if other != path) for path in paths}
        calls = {path: any(names[other] in texts[path] for other in paths if other != path) for path in paths}
        return sorted(paths, key=lambda path: (called[path] > 0, not calls[path], path))

    def _follow(self, change: Change, path: str, hints: Sequence[Hint], otherwise: Place) -> bool:
        """Read what a command hands on: a build configuration, a manifest; ``otherwise``: where it works without flags."""
        more = [*hints, (change.project, "the project")]
        if change.verb == "replace":
            return knative.read(self.files, self.found, path, more, Place(change.project, change.region), otherwise)
        if change.verb == "build" and path.endswith((".yaml", ".yml", ".json")):
            self.builds.read(path, dict(change.substitutions), more, change.project or otherwise.project)
            return True
        return False
