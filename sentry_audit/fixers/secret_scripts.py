"""Scripts that create secrets: the DSN's added to their list, or behind the last that they create, in their own way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical, named_in
from sentry_audit.facts import Deployment, SecretDeclared, SecretName, SecretScript
from sentry_audit.fixers import shell_words
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import indent_at, inserted, line_at, row_at, row_end
from sentry_audit.fixing import Change, Edit, Refusal

if TYPE_CHECKING:
    from sentry_audit.fixers.texts import Insertion
    from sentry_audit.fixing import Case, Fixer

_LIST = re.compile(r"(?m)^[ \t]*(?:declare\s+-a\s+|readonly\s+|local\s+(?:-a\s+)?)?(\w+)=\(([^)]*)\)")
_LOOP = re.compile(
    r"(?m)^([ \t]*for[ \t]+\w+[ \t]+in[ \t]+)((?:[\w$\{\}-]+|\"[^\"\n]*\"|\\\r?\n|[ \t])+?)[ \t]*(?=;|\r?\n)"
)
_CREATES = re.compile(r"gcloud\s+secrets\s+create\s+")


def cover(case: Case) -> Change | Refusal:
    """Let the script create the DSN's secret with the others."""
    fact = next((fact for fact in case.bad if isinstance(fact, SecretScript)), None)
    text = case.files.text(fact.path) if fact is not None else None
    if fact is None or text is None:
        return Refusal(reason="the script that creates secrets could not be read")
    lines = [
        item.line for item in case.scanned if isinstance(item, SecretDeclared) and item.path == fact.path and item.line
    ]
    model = Deployment(path=fact.path, origin="script", service="", line=min(lines, default=1))
    name = Spelling(case, model, " ".join(fact.names), text).named_like(fact.names, ("SENTRY_DSN",))
    if not name:
        return Refusal(reason=f"how {fact.path} names the secrets of an environment was not followed")
    commands = (f"gcloud secrets create {name} --data-file=-",)
    placed = _listed(text, fact.names, name) or _repeated(text, name)
    if placed is None:
        reason = f"{fact.path} creates each secret in a way of its own: add {name} to it"
        return Refusal(reason=reason, commands=commands)
    after = inserted(text, [placed])
    return Change(
        summary=f"will create the secret {name} in {fact.path}", safety="safe", edits=(Edit(fact.path, after),)
    )


def _listed(text: str, names: tuple[str, ...], name: str) -> Insertion | None:
    """Behind the last entry of the array, or of the loop, that holds the names."""
    for match in [*_LIST.finditer(text), *_LOOP.finditer(text)]:
        body = match[2]
        words = list(re.finditer(r"\"([^\"\n]+)\"|'([^'\n]+)'|([^\s\"'\\]+)", body))
        plain = [next(group for group in word.groups() if group) for word in words]
        shown = [item for item in plain if item in names]
        if len(shown) < 1 or len(shown) < len(plain):
            continue
        last = words[-1]
        at = match.start(2) + last.end()
        quote = last[0][0] if last[0][0] in "\"'" else ""
        begin = match.start(2) + last.start()
        own = (
            line_at(text, begin) > line_at(text, match.start())
            and row_at(text, begin).strip().rstrip("\\").strip() == last[0]
        )
        if not own:
            return at, f" {quote}{name}{quote}"
        joined = " \\" if match.re is _LOOP else ""
        return at, f"{joined}\n{indent_at(text, begin)}{quote}{name}{quote}"
    return None


def _repeated(text: str, name: str) -> Insertion | None:
    """Behind the last ``gcloud secrets create`` whose value comes from a variable or a prompt of its own name."""
    found = list(_CREATES.finditer(text))
    if not found:
        return None
    start = text.rfind("\n", 0, found[-1].start()) + 1
    command = shell_words.command_at(text, line_at(text, start))
    if command is None or "|" in text[start : found[-1].start()] or not _self_contained(command):
        return None
    block = text[start : command.words[-1].end]
    old = command.words[3].plain if len(command.words) > 3 else ""
    if (
        not old
        or old.startswith("-")
        or "$" in old
        or block.count(old) != 1
        or row_end(text, command.words[-1].end) != command.words[-1].end
    ):
        return None
    return command.words[-1].end, "\n" + block.replace("\r\n", "\n").replace(old, name)


def _self_contained(command: shell_words.Command) -> bool:
    """Whether the command says nothing of the one secret but its name: no value, no file."""
    flags = [word.plain.partition("=")[0] for word in command.words if word.plain.startswith("--")]
    return "--data-file" not in flags and "--labels" not in flags


def agree(case: Case) -> Change | Refusal:
    """Let a script create the secret by the name that the deployment takes it by."""
    fact = next((fact for fact in case.bad if isinstance(fact, SecretName)), None)
    if fact is None or not fact.problem.startswith("the deployment takes"):
        return Refusal(reason="which of the names is meant is not clear: use one of them everywhere")
    places = {(place.path, place.line) for place in fact.evidence}
    made = [item for item in case.scanned if isinstance(item, SecretDeclared) and (item.path, item.line) in places]
    wanted = canonical(case.environment)
    if len({item.name for item in made}) != 1 or "$" in made[0].name or made[0].origin == "terraform":
        return Refusal(reason="which of the names is meant is not clear: use one of them everywhere")
    if (
        named_in(made[0].name) - {wanted}
        or named_in(fact.name) - {wanted}
        or bool(named_in(fact.name)) != bool(named_in(made[0].name))
    ):
        return Refusal(
            reason=f"{fact.name} and {made[0].name} differ in the environment that they name: use one of them everywhere"
        )
    changed: list[Edit] = []
    for path in dict.fromkeys(item.path for item in made):
        text = case.files.text(path) or ""
        after = re.sub(rf"(?<![\w-]){re.escape(made[0].name)}(?![\w-])", fact.name, text)
        if after != text:
            changed.append(Edit(path, after))
    if not changed:
        return Refusal(reason=f"{made[0].name} is put together from parts: use {fact.name} there")
    return Change(
        summary=f"will call the secret {fact.name} in {', '.join(item.path for item in changed)}", edits=tuple(changed)
    )


FIXERS: dict[str, Fixer] = {"secret-script-covers-dsn": cover, "secret-names-agree": agree}
