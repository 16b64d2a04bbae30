"""From a command that changes something to the fact that it does, with its environment and its lines."""

from __future__ import annotations

import re
from posixpath import basename, dirname
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.deployment.environments import Hint, labels, told
from sentry_audit.deployment.location import project_of, region_of
from sentry_audit.facts import Deployment, SecretDeclared
from sentry_audit.model import Evidence, Problem
from sentry_audit.scanners.nodes import templated, twice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.deployment.gcloud import Change
    from sentry_audit.facts import Fact, Setting

KINDS = frozenset(
    {"deployment", "deployed_dsn", "deployed_environment", "deploy_wipe", "terraform_dsn", "secret_script"}
)

_TAKEN = re.compile(r"\w*SENTRY\w*=[\w-]+(?=:)")


class Found(Struct):
    """What has been found so far, in order."""

    facts: list[Fact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    pipeline: str = ""
    _seen: set[Fact] = field(default_factory=set)

    def change(
        self,
        path: str,
        text: str,
        change: Change,
        line: int | None,
        origin: str,
        hints: Iterable[Hint] = (),
        unresolved: Iterable[str] = (),
        *,
        declarative: bool = False,
    ) -> None:
        """Keep ``change``, which stands in ``path`` from ``line`` on."""
        told_by = [
            *hints,
            (change.project, "the project"),
            (change.service, "the service's name"),
            (basename(path), "the file's name"),
            (basename(self.pipeline), "the name of the file that starts it"),
            (dirname(path), "the folder"),
            *labels(change.settings),
        ]
        environment, rule = told(told_by)
        self._keep(
            Deployment(
                path=path,
                origin=origin,
                pipeline=self.pipeline or path,
                service=change.service,
                resource=change.resource,
                environment=environment,
                rule=rule,
                settings=tuple(_placed(text, item, line) for item in change.settings),
                image=change.image,
                source=change.source,
                dockerfile=change.file if change.resource == "image" else "",
                declarative=declarative,
                order=len(self.facts),
                line=line,
                unresolved=(*change.unresolved, *unresolved),
                ignored=change.ignored,
                project=project_of(change.project),
                region=region_of(change.region),
                evidence=(Evidence(path, line, None, None, _saw(change)),),
            )
        )

    def _keep(self, fact: Deployment | SecretDeclared) -> None:
        """Once: what several files start says the same each time."""
        same = replace(fact, order=0, pipeline="") if isinstance(fact, Deployment) else fact
        if same not in self._seen:
            self._seen.add(same)
            self.facts.append(fact)

    def unsound(self, path: str, node: Any) -> None:
        """Keep what makes it unknown what a YAML document says: keys that stand twice, a template's expressions."""
        for name, line in twice(node):
            here = Evidence(path, line, None, None, f"{name} is there twice")
            reason = f"the key {name!r} is there twice, and readers differ in which one counts"
            self.problems.append(Problem("repo", KINDS, reason, f"keep one of them in {path}", here))
        if (begins := templated(node)) is not None:
            self.template(path, begins)

    def template(self, path: str, line: int) -> None:
        """Keep that a file is made into what is deployed by something that was not followed."""
        here = Evidence(path, line, None, None, "a template")
        reason = "a template: what it becomes is not known"
        self.problems.append(Problem("repo", KINDS, reason, "audit what it renders to", here))

    def secret(
        self,
        path: str,
        name: str,
        line: int | None,
        hints: Iterable[Hint] = (),
        origin: str = "script",
        text: str = "",
        project: str = "",
    ) -> None:
        """Keep that the script ``text`` creates the secret ``name`` (``origin`` version: gives it a value)."""
        environment, _ = told([*hints, (name, "the name"), (basename(path), "the file's name")])
        here = Evidence(path, line, None, None, name)
        unresolved = "its name was not followed" if "$" in name else ""
        if not unresolved and _speaks(text):
            unresolved = "the script speaks of Sentry, and which secret that goes into was not followed"
        self._keep(
            SecretDeclared(
                path=path,
                name=name,
                origin=origin,
                environment=environment,
                line=line,
                evidence=(here,),
                unresolved=unresolved,
                project=project_of(project),
            )
        )


def _speaks(text: str) -> bool:
    """Whether a script names Sentry, other than in a comment or as a variable that a service takes from a secret."""
    rows = (row for row in text.splitlines() if not row.lstrip().startswith("#"))
    return any("sentry" in _TAKEN.sub("", row).lower() for row in rows)


def _saw(change: Change) -> str:
    if change.resource == "bundle":
        return "builds the front end"
    if change.resource == "image":
        return f"builds {change.image or 'an image'}"
    return f"{change.verb} {change.resource} {change.service}".strip()


def _placed(text: str, item: Setting, start: int | None) -> Setting:
    """The setting with the line on which its name stands, at or after the command's, unless its own line is known."""
    if not item.name or start is None or item.path or item.line not in {None, start}:
        return item
    pattern = re.compile(rf"\b{re.escape(item.name)}\b")
    for number, row in enumerate(text.splitlines()[start - 1 :], start):
        if pattern.search(row) and not row.lstrip().startswith("#"):
            return replace(item, line=number)
        if number > start + 60:
            break
    return item
