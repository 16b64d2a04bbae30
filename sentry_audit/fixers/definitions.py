"""A variable, given where a deployment is defined: in a command, a list of arguments, an action's inputs, a manifest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from sentry_audit.deployment.makefiles import is_makefile
from sentry_audit.fixers import env_files, python_lists, shell_words, terraforming
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import inserted, row_start
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.scanners.nodes import children, items, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.texts import Insertion
    from sentry_audit.fixing import Case

SETTING = {
    "secret": ("--set-secrets", "--update-secrets"),
    "plain": ("--set-env-vars", "--update-env-vars"),
    "build": ("--set-build-env-vars", "--update-build-env-vars"),
}
_CLEARING = {"secret": "--clear-secrets", "plain": "--clear-env-vars", "build": "--clear-build-env-vars"}
_INPUT = {"secret": "secrets", "plain": "env_vars", "build": "build variables"}


class Given(Struct, frozen=True):
    """A variable and what it is given: a secret (its version is the newest) or a plain value, spelled as it is written.

    ``sort``: secret, plain, or build (a plain one that buildpacks see).
    """

    name: str
    value: str
    sort: str = "secret"

    @property
    def entry(self) -> str:
        """As gcloud takes it."""
        return f"{self.name}={self.value}" + (":latest" if self.sort == "secret" else "")


#: What a definition is to be given, once it is known how it spells things.
Ask: TypeAlias = "Callable[[Spelling], Given | Refusal]"
#: Insertions by file, all in its text as it is.
Placed: TypeAlias = "list[tuple[str, Insertion]]"


def edits(case: Case, placed: Iterable[tuple[str, Insertion]]) -> tuple[Edit, ...]:
    """The files with what is ``placed`` in them, each thing once."""
    found: dict[str, list[Insertion]] = {}
    for path, insertion in dict.fromkeys(placed):
        found.setdefault(path, []).append(insertion)
    return tuple(Edit(path, inserted(case.files.text(path) or "", more)) for path, more in found.items())


def give(case: Case, deployment: Deployment, ask: Ask) -> Placed | Refusal:
    """What has to be put where for ``deployment`` to give its service a variable."""
    text = case.files.text(deployment.path)
    if text is None or deployment.line is None:
        return Refusal(reason=f"{deployment.path} could not be read as text")
    if deployment.origin == "terraform":
        return terraforming.give(case, deployment, ask)
    if deployment.path.endswith(".py"):
        return python_lists.give(case, deployment, text, ask)
    if deployment.origin == "knative":
        return _manifest(case, deployment, text, ask)
    if deployment.origin == "deploy-cloudrun":
        return _inputs(case, deployment, text, ask)
    if deployment.path.endswith((".yaml", ".yml")):
        step = places.mapping_at(deployment.path, text, deployment.line, "args")
        if step is not None and places.is_block(step):
            return _arguments(case, deployment, text, step, ask)
    return _command(case, deployment, text, ask)


def _asked(case: Case, deployment: Deployment, raw: str, ask: Ask) -> Given | Refusal:
    return ask(Spelling(case, deployment, raw))


def command_of(deployment: Deployment, text: str) -> shell_words.Command | None:
    """The command that a deployment (or the build of an image) is, in a script or in a YAML file."""
    if not deployment.line:
        return None
    if not deployment.path.endswith((".yaml", ".yml")):
        return shell_words.command_at(text, deployment.line)
    first = shell_words.command_at(text, deployment.line)
    scalar = places.script_at(deployment.path, text, first.words[0].start) if first else None
    if scalar is None:
        return None
    return shell_words.command_at(text, deployment.line, scalar.end, scalar.folded)


def _command(case: Case, deployment: Deployment, text: str, ask: Ask) -> Placed | Refusal:
    command = command_of(deployment, text)
    if command is None:
        return Refusal(
            reason=f"the command in {deployment.path}:{deployment.line} is put together in a way that was not followed"
        )
    context = command.raw
    for name in command.variables():
        context += "".join("\n" + text[begin:end] for begin, end, _ in shell_words.assignments(text, name))
    asked = _asked(case, deployment, context, ask)
    if isinstance(asked, Refusal):
        return asked
    if asked.sort == "plain" and env_files.files_of(deployment):
        return env_files.give(case, deployment, asked)
    value = _for_make(asked.entry) if is_makefile(deployment.path) else asked.entry
    found = shell_words.given(command, *SETTING[asked.sort])
    if found:
        if "$" in value and any(text[item.start] == "'" for item in found):
            return Refusal(
                reason=f"the value in {deployment.path}:{deployment.line} stands in single quotes, where no variable is put in"
            )
        return [(deployment.path, shell_words.extended(text, item, value)) for item in found]
    if any(
        item.sort == asked.sort and item.name and item.operation in {"set", "update"} for item in deployment.settings
    ):
        return Refusal(
            reason=f"where {deployment.path}:{deployment.line} gets its {_INPUT[asked.sort]} from was not followed"
        )
    words = [word.plain.partition("=")[0] for word in command.words]
    if _CLEARING[asked.sort] in words or (asked.sort == "plain" and "--env-vars-file" in words):
        return Refusal(
            reason=f"gcloud takes no {SETTING[asked.sort][1]} beside the flags of {deployment.path}:{deployment.line}"
        )
    # `jobs create` has no --update-…: everything is new there
    flag = SETTING[asked.sort][0 if "create" in words else 1]
    beside = [name for sort in SETTING.values() for name in sort]
    return [(deployment.path, shell_words.added(command, flag, value, beside))]


def _for_make(value: str) -> str:
    """A value as a recipe writes it: make takes a ``$`` for its own."""
    return re.sub(r"(?<!\$)\$(?=\(git )", "$$$$", value)


# --- YAML -------------------------------------------------------------------------------------------


def _arguments(case: Case, deployment: Deployment, text: str, step: Any, ask: Ask) -> Placed | Refusal:
    """The ``args`` of a Cloud Build step."""
    args = children(step)["args"]
    raw = text[step.start_mark.index : step.end_mark.index]
    asked = _asked(case, deployment, raw, ask)
    if isinstance(asked, Refusal):
        return asked
    if asked.sort == "plain" and env_files.files_of(deployment):
        return env_files.give(case, deployment, asked)
    listed = items(args)
    for at, item in reversed(list(enumerate(listed))):
        name, mark, _ = text_of(item).partition("=")
        if name in SETTING[asked.sort]:
            target = item if mark else listed[at + 1] if at + 1 < len(listed) else None
            if target is None:
                break
            return [(deployment.path, places.in_scalar(text, target, asked.entry, ","))]
    if not listed:
        return Refusal(reason=f"the args of {deployment.path}:{deployment.line} are no list")
    flag = f"{SETTING[asked.sort][1]}={asked.entry}"
    return [(deployment.path, argument(text, args, flag))]


def argument(text: str, args: Any, value: str) -> Insertion:
    """One more argument at the end of a list, quoted as the last one is."""
    last = items(args)[-1]
    word = places.quoted_like(last, value)
    if args.flow_style:
        begin = text[: last.start_mark.index].rstrip(" \t")
        broken = begin.endswith("\n")
        return last.end_mark.index, ",\n" + " " * last.start_mark.column + word if broken else f", {word}"
    return places.listed(text, args, [word])


def _inputs(case: Case, deployment: Deployment, text: str, ask: Ask) -> Placed | Refusal:
    """The inputs of google-github-actions/deploy-cloudrun."""
    step = places.mapping_at(deployment.path, text, deployment.line or 0, "with")
    given = children(step).get("with") if step is not None else None
    if given is None or not places.is_block(given):
        return Refusal(reason=f"the inputs of {deployment.path}:{deployment.line} were not found")
    asked = _asked(case, deployment, text[step.start_mark.index : step.end_mark.index], ask)
    if isinstance(asked, Refusal):
        return asked
    key = _INPUT[asked.sort]
    node = children(given).get(key)
    if node is None:
        model = "env_vars" if key == "secrets" else "secrets"
        behind = model if model in children(given) else given.value[-1][0].value
        return [(deployment.path, places.keyed(text, given, behind, [f"{key}: |-", f"  {asked.entry}"]))]
    if text_of(node).startswith("$") and "=" not in text_of(node):
        return Refusal(
            reason=f"{key} of {deployment.path}:{deployment.line} is {text_of(node)}, which was not followed"
        )
    return [(deployment.path, places.in_scalar(text, node, asked.entry, ","))]


def _manifest(case: Case, deployment: Deployment, text: str, ask: Ask) -> Placed | Refusal:
    """The container of a Knative manifest."""
    start = row_start(text, deployment.line or 1)
    root = next(
        (
            node
            for node in places.nodes(deployment.path, text)
            if node.start_mark.index >= start and text_of(children(node).get("kind")) in {"Service", "Job"}
        ),
        None,
    )
    node = _container(root) if root is not None else None
    if root is None or node is None or not places.is_block(node):
        return Refusal(reason=f"the container in {deployment.path} was not found")
    asked = _asked(case, deployment, text[root.start_mark.index : root.end_mark.index], ask)
    if isinstance(asked, Refusal):
        return asked
    env = children(node).get("env")
    if env is None:
        offset = "  " if _nested(text, root) else ""
        rows = [f"{offset}{'  ' if index else '- '}{row}" for index, row in enumerate(_variable(asked, None))]
        return [(deployment.path, places.keyed(text, node, "image", ["env:", *rows]))]
    if not places.is_block(env):
        return Refusal(reason=f"env of {deployment.path} is empty, or stands in brackets")
    return [(deployment.path, places.listed(text, env, _variable(asked, env)))]


def _container(root: Any) -> Any:
    from sentry_audit.scanners.nodes import at

    below = (
        ("spec", "template", "spec", "template", "spec")
        if text_of(at(root, "kind")) == "Job"
        else ("spec", "template", "spec")
    )
    found = at(root, *below, "containers")
    listed = items(found) or ([found] if children(found) else [])
    return next((item for item in listed if "ports" in children(item)), listed[0] if listed else None)


def _nested(text: str, root: Any) -> bool:
    """Whether lists are indented below their key in this file."""
    match = re.search(r"(?m)^([ ]*)[\w-]+:[ ]*\r?\n([ ]*)- ", text[root.start_mark.index : root.end_mark.index])
    return match is not None and len(match[2]) > len(match[1])


def _variable(asked: Given, env: Any) -> list[str]:
    """The lines of an entry of ``env``, with the keys in the order, and the quotes, that its neighbours have."""
    others = [children(item) for item in items(env)] if env is not None else []
    first = next(iter(others), {}).get("name")
    name = f"name: {places.quoted_like(first, asked.name)}"
    if asked.sort == "plain":
        model = next((item["value"] for item in others if "value" in item), None)
        value = places.quoted_like(model, asked.value) if model is not None and model.style else f'"{asked.value}"'
        return [name, f"value: {value}"]
    model = next(
        (
            found
            for item in others
            for found in [children(children(item.get("valueFrom")).get("secretKeyRef"))]
            if found
        ),
        {},
    )
    pair = {
        "name": places.quoted_like(model.get("name"), asked.value),
        "key": places.quoted_like(model.get("key"), "latest"),
    }
    order = list(model) if set(model) == set(pair) else ["name", "key"]
    return [name, "valueFrom:", "  secretKeyRef:", *(f"    {key}: {pair[key]}" for key in order)]
