"""``cloudbuild.yaml``: steps that build images, bundle front ends and deploy, with their substitutions and secrets.

Semantics: cloud.google.com/build/docs/build-config-file-schema.
"""

from __future__ import annotations

import re
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit.deployment.bundling import bundled_in
from sentry_audit.deployment.environments import Hint, is_parameter
from sentry_audit.deployment.found import KINDS
from sentry_audit.deployment.gcloud import Change, build, setting, understand
from sentry_audit.deployment.location import Place, project_of
from sentry_audit.scanners.bundling import is_bundler
from sentry_audit.scanners.nodes import at, children, compose, items, line_of, text_of
from sentry_audit.scanners.shell import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentry_audit.deployment.found import Found
    from sentry_audit.deployment.scripts import Scripts
    from sentry_audit.facts import Setting
    from sentry_audit.python.program import Files

_NAME = re.compile(r"cloudbuild|cloud-build|cloud_build", re.IGNORECASE)
_SHELLS = frozenset({"bash", "sh"})


def is_cloudbuild(path: str) -> bool:
    """Whether the name, or its folder's, is that of a Cloud Build configuration."""
    return path.endswith((".yaml", ".yml", ".json")) and bool(_NAME.search(path))


class _Step(Struct, frozen=True):
    """One step: where it runs, what it sees."""

    path: str
    text: str
    line: int
    folder: str
    hints: Sequence[Hint]
    env: tuple[Setting, ...] = field(default=())


class CloudBuild:
    """Reads Cloud Build configurations of one tree."""

    def __init__(self, files: Files, found: Found, scripts: Scripts) -> None:
        self.files = files
        self.found = found
        self.scripts = scripts

    def read(
        self, path: str, given: Mapping[str, str] | None = None, hints: Sequence[Hint] = (), project: str = ""
    ) -> None:
        """The deployments of a configuration that is submitted to ``project`` with the substitutions ``given``."""
        text = self.files.text(path)
        if text is None or "steps" not in text:
            return
        source = text.replace("\t", " ") if path.endswith(".json") else text  # JSON may indent with tabs, YAML not
        nodes, problems = compose(path, source, KINDS)
        self.found.problems += problems
        before = self.scripts.place
        for node in nodes:
            self.found.unsound(path, node)
            self.scripts.place = Place(project)  # gcloud works in the build's project
            self._build(path, text, node, given, hints, project)
        self.scripts.place = before

    def _build(
        self,
        path: str,
        text: str,
        node: Any,
        given: Mapping[str, str] | None,
        hints: Sequence[Hint],
        project: str,
    ) -> None:
        defaults = {name: text_of(value) for name, value in children(at(node, "substitutions")).items()}
        known = {name: value for name, value in defaults.items() if value and not is_parameter(name)}
        known.update({name: value for name, value in (given or {}).items() if not value.startswith("$")})
        if project_of(project):
            known["PROJECT_ID"] = project
        more = [(value, f"the substitution {name}") for name, value in (given or {}).items() if is_parameter(name)]
        secrets = _secrets(node)
        shared = [*items(at(node, "options", "env"))]
        for step in items(at(node, "steps")):
            fields = children(step)
            variables = [text_of(item) for item in [*shared, *items(fields.get("env"))]]
            names = [
                text_of(item) for item in [*items(at(node, "options", "secretEnv")), *items(fields.get("secretEnv"))]
            ]
            env = _environment([expand(item, known) for item in variables], names, secrets, line_of(step))
            folder = normpath(join(".", text_of(fields.get("dir")) or ".")).removeprefix("./")
            here = _Step(path, text, line_of(step), "" if folder == "." else folder, [*more, *hints], env)
            self._step(here, fields, known)

    def _step(self, step: _Step, fields: dict[str, Any], known: Mapping[str, str]) -> None:
        image = basename(text_of(fields.get("name")).partition("@")[0].partition(":")[0])
        entry = basename(text_of(fields.get("entrypoint")))
        words = [expand(text_of(item), dict(known)).replace("$$", "$") for item in items(fields.get("args"))]
        args = fields.get("args")
        if args is not None and not words and text_of(args):
            words = expand(text_of(args), dict(known)).split()
        if "script" in fields or (entry in _SHELLS and words):
            body = text_of(fields.get("script")) or (words[-1] if words[0].startswith("-") else " ".join(words))
            node = fields.get("script") or (items(args)[-1] if items(args) else args)
            visible = {item.name: item.value for item in step.env if item.value and item.sort == "plain"}
            start = line_of(node) + (1 if getattr(node, "style", None) in {"|", ">"} else 0)
            self.scripts.text(
                step.path, expand(body, dict(known)).replace("$$", "$"), visible, step.hints, "cloudbuild", 0, start,
                step.folder, whole=step.text, env=step.env,
            )  # fmt: skip
            return
        program = entry or ("gcloud" if image in {"gcloud", "cloud-sdk", "google-cloud-cli"} else image)
        if image in {"executor", "kaniko"}:
            change: Change | None = build(words, step.line)
        else:
            command = words if words[:1] == [program] else [program, *words]
            change = understand(tuple(command), step.line, self.scripts.inputs.seen_from(step.folder))
            if change is None and is_bundler(command):
                change = Change("build", "bundle", "", step.env, source=bundled_in(command))
        if change is not None:
            self.scripts.keep(
                change,
                step.path,
                step.text,
                step.line,
                "cloudbuild",
                step.hints,
                step.folder or dirname(""),
                env=step.env,
            )


def _secrets(node: Any) -> dict[str, str]:
    """The secret behind each variable of ``availableSecrets`` (and of the older ``secrets``)."""
    found: dict[str, str] = {}
    for item in items(at(node, "availableSecrets", "secretManager")):
        fields = children(item)
        found[text_of(fields.get("env"))] = text_of(fields.get("versionName"))
    return found


def _environment(
    variables: Sequence[str], names: Sequence[str], secrets: Mapping[str, str], line: int
) -> tuple[Setting, ...]:
    found = []
    for variable in variables:
        name, mark, value = variable.partition("=")
        if mark:
            found.append(setting(name, value, "set", "plain", line, build=True))
    found += [setting(name, secrets.get(name, ""), "set", "secret", line, build=True) for name in names if name]
    return tuple(found)
