"""From a command that changes something to the fact that it does, with its environment and its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import Hint, told
from sentry_audit.facts import Deployment, SecretDeclared
from sentry_audit.model import Evidence, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.deployment.gcloud import Change
    from sentry_audit.facts import Fact, Setting

KINDS = frozenset(
    {"deployment", "deployed_dsn", "deployed_environment", "deploy_wipe", "terraform_dsn", "secret_script"}
)


@dataclass
class Found:
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
            (dirname(path), "the folder"),
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
                file=change.file if change.resource == "image" else "",
                declarative=declarative,
                order=len(self.facts),
                line=line,
                unresolved=(*change.unresolved, *unresolved),
                evidence=(Evidence(path, line, None, None, _saw(change)),),
            )
        )

    def _keep(self, fact: Deployment | SecretDeclared) -> None:
        """Once: what several files start says the same each time."""
        same = replace(fact, order=0, pipeline="") if isinstance(fact, Deployment) else fact
        if same not in self._seen:
            self._seen.add(same)
            self.facts.append(fact)

    def twice(self, path: str, keys: Iterable[tuple[str, int]]) -> None:
        """Keep that keys stand twice in a file: what it sets cannot be told."""
        for name, line in keys:
            here = Evidence(path, line, None, None, f"{name} is there twice")
            reason = f"the key {name!r} is there twice, and readers differ in which one counts"
            self.problems.append(Problem("repo", KINDS, reason, f"keep one of them in {path}", here))

    def secret(
        self, path: str, name: str, line: int | None, hints: Iterable[Hint] = (), origin: str = "script"
    ) -> None:
        """Keep that a script, or Terraform, creates the secret ``name``."""
        environment, _ = told([*hints, (name, "the name"), (basename(path), "the file's name")])
        here = Evidence(path, line, None, None, name)
        self._keep(
            SecretDeclared(
                path=path,
                name=name,
                origin=origin,
                environment=environment,
                line=line,
                evidence=(here,),
                unresolved="its name was not followed" if "$" in name else "",
            )
        )


def _saw(change: Change) -> str:
    if change.resource == "bundle":
        return "builds the front end"
    if change.resource == "image":
        return f"builds {change.image or 'an image'}"
    return f"{change.verb} {change.resource} {change.service}".strip()


def _placed(text: str, item: Setting, start: int | None) -> Setting:
    """The setting with the line on which its name stands, at or after the command's."""
    if not item.name or start is None:
        return item
    pattern = re.compile(rf"\b{re.escape(item.name)}\b")
    for number, row in enumerate(text.splitlines()[start - 1 :], start):
        if pattern.search(row) and not row.lstrip().startswith("#"):
            return replace(item, line=number)
        if number > start + 60:
            break
    return item
