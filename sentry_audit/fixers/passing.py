"""One build that is given a variable: ``--build-arg``, a row of ``build-args``, an entry of the step's ``env``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.fixers import shell_words
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.definitions import command_of
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import indent_at, row_at, row_end, row_start
from sentry_audit.fixing import Refusal
from sentry_audit.scanners.nodes import at, children, items, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixing import Case

    #: The value of a variable where an image is built, as it is written there: from a spelling, and where that is.
    Value: TypeAlias = "Callable[[Spelling, str], str | Refusal]"

#: A build with more arguments than fit here has one a row.
_WIDEST_BUILD = 72
#: The kinds of place that build: each reads values in its own way.
SCRIPT, WORKFLOW, CLOUDBUILD = "script", "workflow", "cloudbuild"


def pass_to(case: Case, item: Deployment, name: str, value: Value) -> Placed | Refusal:
    """Give one build a variable: ``--build-arg``, a row of ``build-args``, an entry of the step's ``env``."""
    text = case.files.text(item.path) or ""
    if item.line is None:
        return Refusal(reason=f"where {item.path} builds it was not followed")
    if not item.path.endswith((".yaml", ".yml")):
        return _script(case, item, text, name, value)
    if step := places.mapping_at(item.path, text, item.line, "with"):
        return _action(case, item, text, step, name, value)
    if (step := places.mapping_at(item.path, text, item.line, "args")) and not is_workflow(item.path):
        return _arguments(case, item, text, step, name, value)
    if item.resource == "bundle":
        return step_variable(case, item, text, name, value)
    kind = CLOUDBUILD if not (is_workflow(item.path) or "/actions/" in f"/{item.path}" or "runs:" in text) else WORKFLOW
    return _docker(case, item, text, name, value, kind)


def _script(case: Case, item: Deployment, text: str, name: str, value: Value) -> Placed | Refusal:
    if item.resource == "image":
        return _docker(case, item, text, name, value, SCRIPT)
    start = row_start(text, item.line or 1)
    told = value(Spelling(case, item, "", text), SCRIPT)
    if isinstance(told, Refusal):
        return told
    return [(item.path, (start, f'{indent_at(text, start)}export {name}="{told}"\n'))]


def _docker(case: Case, item: Deployment, text: str, name: str, value: Value, kind: str) -> Placed | Refusal:
    command = command_of(item, text)
    if command is None or not any(word.plain == "build" for word in command.words):
        return Refusal(
            reason=f"{item.path}:{item.line} builds the image in a way that takes no build argument: use docker build"
        )
    told = value(Spelling(case, item, command.raw, text), kind)
    if isinstance(told, Refusal):
        return told
    return [(item.path, build_argument(command, f"{name}={told}"))]


def build_argument(command: shell_words.Command, pair: str) -> tuple[int, str]:
    """``--build-arg`` behind the others, or in front of all that docker is told."""
    text = command.text
    others = list(command.values("--build-arg"))
    build = next(word for word in command.words if word.plain == "build")
    spaced = not others or text[others[-1].start - 1] != "="
    needed = bool(re.search(r"[\s$\"]", pair)) and "${{" not in pair
    quote = '"' if needed or (others and text[others[-1].start] == '"') else ""
    word = f"--build-arg{' ' if spaced else '='}{quote}{pair}{quote}"
    at_ = others[-1].end if others else build.end
    rows = [item for item in command.words if item.start > build.end and "\n" in text[build.end : item.start]]
    if not rows:
        row = row_at(text, at_)
        if command.folded or len(row) + len(word) < _WIDEST_BUILD:
            return at_, f" {word}"
        indent = indent_at(text, at_)
        return at_, f" \\\n{indent}  {word}" + (f" \\\n{indent} " if at_ < command.words[-1].end else "")
    return at_, ("\n" if command.folded else " \\\n") + indent_at(text, rows[0].start) + word


def _action(case: Case, item: Deployment, text: str, step: Any, name: str, value: Value) -> Placed | Refusal:
    """docker/build-push-action."""
    given = children(step)["with"]
    if not places.is_block(given):
        return Refusal(reason=f"the inputs of {item.path}:{item.line} stand in brackets")
    told = value(Spelling(case, item, text[step.start_mark.index : step.end_mark.index]), WORKFLOW)
    if isinstance(told, Refusal):
        return told
    node = children(given).get("build-args")
    if node is None:
        return [(item.path, places.keyed(text, given, given.value[-1][0].value, ["build-args: |", f"  {name}={told}"]))]
    if node.style not in {"|", ">"}:
        return Refusal(
            reason=f"build-args of {item.path}:{item.line} is one line: write it as a block, and add {name}={told}"
        )
    return [(item.path, places.in_scalar(text, node, f"{name}={told}", "\n"))]


def _arguments(case: Case, item: Deployment, text: str, step: Any, name: str, value: Value) -> Placed | Refusal:
    """A Cloud Build step of the docker builder, or kaniko's."""
    args = children(step)["args"]
    listed = items(args)
    told = value(Spelling(case, item, text[step.start_mark.index : step.end_mark.index], text), CLOUDBUILD)
    if isinstance(told, Refusal):
        return told
    if not listed:
        return Refusal(reason=f"the args of {item.path}:{item.line} are no list")
    placed: Placed = [(item.path, spot) for spot in _build_arguments(text, args, f"{name}={told}")]
    if match := re.fullmatch(r"\$\{(_\w+)\}", told):
        placed += _substitution(item, text, match[1])
    return placed


def _build_arguments(text: str, args: Any, pair: str) -> list[tuple[int, str]]:
    """``--build-arg`` behind the others, or in front of the last argument, which is the context."""
    listed = items(args)
    others = [index for index, one in enumerate(listed) if text_of(one).startswith("--build-arg")]
    split = bool(others) and text_of(listed[others[-1]]) == "--build-arg"
    words = ["--build-arg", pair] if split else [f"--build-arg={pair}"]
    if not others:
        before = listed[-1]
        model = listed[0]
        written = [places.quoted_like(model, word) for word in words]
        if args.flow_style:
            return [(before.start_mark.index, "".join(f"{word}, " for word in written))]
        start = row_start(text, before.start_mark.line + 1)
        prefix = text[start : before.start_mark.index]
        return [(start, "".join(f"{prefix}{word}\n" for word in written))]
    after = listed[others[-1] + (1 if split else 0)]
    written = [places.quoted_like(after, word) for word in words]
    if args.flow_style:
        return [argument_behind(text, after, word) for word in written]
    start = row_start(text, after.start_mark.line + 1)
    prefix = text[start : after.start_mark.index]
    return [(after.end_mark.index, "".join(f"\n{prefix}{word}" for word in written))]


def argument_behind(text: str, after: Any, word: str) -> tuple[int, str]:
    """One more entry of a list in brackets, behind ``after``."""
    broken = text[: after.start_mark.index].rstrip(" \t").endswith("\n")
    return after.end_mark.index, f",\n{' ' * after.start_mark.column}{word}" if broken else f", {word}"


def _substitution(item: Deployment, text: str, name: str) -> Placed:
    """A substitution with an empty default, as Cloud Build wants each to be declared."""
    root = next(iter(places.nodes(item.path, text)))
    known = at(root, "substitutions")
    if known is not None and name in children(known):
        return []
    if known is not None and places.is_block(known):
        return [(item.path, places.keyed(text, known, known.value[-1][0].value, [f'{name}: ""']))]
    return [(item.path, (len(text), f'{"" if text.endswith(chr(10)) else chr(10)}\nsubstitutions:\n  {name}: ""\n'))]


def step_variable(case: Case, item: Deployment, text: str, name: str, value: Value) -> Placed | Refusal:
    """The ``env`` of the step of a workflow that builds."""
    begin = row_start(text, item.line or 1)
    step = None
    for node in places.nodes(item.path, text):
        run = children(node).get("run")
        if run is not None and run.start_mark.index <= row_end(text, begin) and begin <= run.end_mark.index:
            step = node
    if step is None or not places.is_block(step):
        return Refusal(reason=f"the step in {item.path}:{item.line} was not found")
    told = value(Spelling(case, item, text[step.start_mark.index : step.end_mark.index]), WORKFLOW)
    if isinstance(told, Refusal):
        return told
    env = children(step).get("env")
    if env is None:
        return [(item.path, places.keyed(text, step, "run", ["env:", f"  {name}: {told}"]))]
    if not places.is_block(env):
        return Refusal(reason=f"env of {item.path}:{item.line} stands in brackets")
    return [(item.path, places.keyed(text, env, env.value[-1][0].value, [f"{name}: {told}"]))]


def merged(placed: Placed) -> Placed:
    """What goes to one place under one head (``build-args: |``, ``env:``), under one head."""
    found: dict[tuple[str, int], str] = {}
    rest: Placed = []
    for path, (at_, more) in placed:
        rows = more.split("\n")
        head = next((index for index, row in enumerate(rows) if row.rstrip().endswith((":", "|"))), None)
        known = found.get((path, at_))
        if head is None:
            rest.append((path, (at_, more)))
        elif known is not None and known.split("\n")[: head + 1] == rows[: head + 1]:
            found[path, at_] = known.rstrip("\n") + "\n" + "\n".join(rows[head + 1 :])
        else:
            found[path, at_] = more if known is None else known + more
    return [*rest, *((path, (at_, more)) for (path, at_), more in found.items())]
