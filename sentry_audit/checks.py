"""``checks.yaml`` → Check, refusing what it would otherwise have to guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from sentry_audit.checks_mistakes import ECOSYSTEMS, QUANTIFIERS, mistakes
from sentry_audit.errors import ChecksFileError
from sentry_audit.model import Confidence, Link, Severity
from sentry_audit.positions import listed, no_yaml, told, twice, yaml_line
from sentry_audit.predicates import Condition, conditions

if TYPE_CHECKING:
    from sentry_audit.positions import Path


class Fix(Struct, frozen=True):
    """What closes a gap: how safe it is to do, in one sentence, and the shape of the diff.

    ``others`` are those of components of another ecosystem, by its name.
    """

    safety: str
    summary: str
    diff: str = ""
    others: tuple[tuple[str, Fix], ...] = ()

    def of(self, ecosystem: str) -> Fix:
        """What closes the gap of a component of ``ecosystem``."""
        return dict(self.others).get(ecosystem, self)


class Check(Struct, frozen=True):
    """One question, asked of every fact of one kind."""

    id: str
    title: str
    area: str
    severity: Severity
    quantifier: str
    subject: str
    where: tuple[Condition, ...]
    expect: tuple[Condition, ...]
    message: str
    why: str
    environments: str = "all"
    ecosystem: str = ""
    link: Link | None = None
    fix: Fix | None = None
    refs: tuple[str, ...] = ()
    confidence: Confidence = Confidence.HIGH
    absent: str = "skip"
    absent_message: str = ""
    pass_message: str = ""
    permissions: tuple[str, ...] = ()
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def load(text: str, name: str) -> tuple[Check, ...]:
    """The checks of a file; ``name`` is the file's, for messages. Raises ChecksFileError."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(text, loader)  # noqa: S506 - a safe loader, chosen above
    except yaml.YAMLError as error:
        raise ChecksFileError(*no_yaml(error, text, name)) from error
    found = sorted([*twice(text), *mistakes(data)], key=lambda wrong: yaml_line(text, wrong.path))
    if not found:
        return tuple(map(_check, data["checks"]))

    def place_of(path: Path) -> str:
        return f"{name}:{yaml_line(text, path)}: {told(path) or 'file'}"

    raise ChecksFileError(*listed(found, place_of, name))


def loaded(data: Any) -> tuple[Check, ...]:
    """The checks of a file, from its content as ``yaml`` reads it. Raises Wrong for what is wrong with it first.

    ``load`` names everything that is wrong, and where it stands.
    """
    for wrong in mistakes(data):
        raise wrong
    return tuple(map(_check, data["checks"]))


def _check(entry: dict[str, Any]) -> Check:
    quantifier = next(key for key in QUANTIFIERS if key in entry)
    return Check(
        id=entry["id"],
        title=entry["title"],
        area=entry["area"],
        severity=Severity(entry["severity"]),
        quantifier=quantifier,
        subject=entry[quantifier],
        where=conditions(entry.get("where", {})),
        expect=conditions(entry["expect"]),
        message=entry["message"],
        why=entry["why"],
        environments=entry.get("environments", "all"),
        ecosystem=entry.get("ecosystem", ""),
        link=Link(entry["link"]) if "link" in entry else None,
        fix=_fix(entry["fix"]) if entry.get("fix") is not None else None,
        refs=tuple(entry.get("refs", ())),
        confidence=Confidence(entry.get("confidence", "high")),
        absent=entry.get("absent", "skip"),
        absent_message=entry.get("absent_message", ""),
        pass_message=entry.get("pass_message", ""),
        permissions=tuple(entry.get("permissions", ())),
        examples=entry["examples"],
    )


def _fix(entry: dict[str, Any]) -> Fix:
    others = ((name, _fix({"safety": entry["safety"], **entry[name]})) for name in ECOSYSTEMS if name in entry)
    return Fix(entry["safety"], str(entry["summary"]), str(entry.get("diff", "")), tuple(others))
