"""A token for the bundler: mounted by BuildKit while the image is built, never an ARG, which stays in its history.

Sources: docs.docker.com/build/building/secrets; ``env=`` is of docker/dockerfile 1.10; cloud.google.com/build/docs/
securing-builds/use-secrets.
"""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING

from sentry_audit.deployment.cloudbuild import is_cloudbuild
from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.bundles import images, shipped
from sentry_audit.fixers.definitions import command_of
from sentry_audit.fixers.passing import pass_to, step_variable
from sentry_audit.fixers.texts import inserted, row_end, row_start
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.scanners.bundling import bundling
from sentry_audit.scanners.nodes import at, children, items, line_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from sentry_audit.facts import Deployment
    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixing import Case

_RUN = re.compile(r"[ \t]*RUN[ \t]+", re.IGNORECASE)
_SYNTAX = re.compile(r"^#[ \t]*syntax[ \t]*=[ \t]*(?:docker\.io/)?docker/dockerfile:1\.(\d+)", re.MULTILINE)
_ANY_SYNTAX = re.compile(r"^#[ \t]*syntax[ \t]*=", re.MULTILINE)
_FIRST_WITH_ENV = 10


def token(case: Case, name: str) -> tuple[list[Edit], str] | Refusal:
    """(the edits that give the build of the front end a secret, what a person has to do first).

    A Dockerfile mounts it, and what builds the image hands it over; outside an image the step gets it as a variable.
    """
    made = images(case)
    found = shipped(case, [image.path for image in made])
    edits = [_mounted(case, image.path, name) for image in made]
    refused = next((item for item in edits if isinstance(item, Refusal)), None)
    if refused is not None:
        return refused
    placed: Placed = []
    first: list[str] = []
    for item in found:
        if any(one.name == name and one.sort in {"mount", "secret"} for one in item.settings):
            continue
        more = _handed(case, item, name)
        if isinstance(more, Refusal):
            return more
        placed += more
        first.append(_first(item, name))
    if not made and not placed:
        return Refusal(reason=f"what builds {case.component.name} for {case.environment} was not found")
    whole = [item for item in edits if isinstance(item, Edit) and item.after != case.files.text(item.path)]
    handed = _written(case, placed)
    told = "; ".join(dict.fromkeys(first)) or f"build it with --secret id={name},env={name}"
    return [*whole, *handed], told


def _written(case: Case, placed: Placed) -> Iterable[Edit]:
    from sentry_audit.fixers.definitions import edits

    return edits(case, placed)


def _first(item: Deployment, name: str) -> str:
    if is_workflow(item.path):
        return f"GitHub needs the secret {name}"
    if is_cloudbuild(item.path):
        return f"Secret Manager needs {_id(name)}, which the account of Cloud Build may read"
    return f"{name} has to be set where {item.path} runs"


def _id(name: str) -> str:
    return name.lower().replace("_", "-")


# --- the Dockerfile -----------------------------------------------------------------------------------


def _mounted(case: Case, path: str, name: str) -> Edit | Refusal:
    """The Dockerfile whose bundler gets the secret in a variable; one that took it as an argument no longer does."""
    text = case.files.text(path) or ""
    found = bundling(path, text)
    if found.line is None or any(mount.variable == name for mount in found.mounts):
        return Edit(path, text)
    old = _SYNTAX.search(text)
    if old is not None and int(old[1]) < _FIRST_WITH_ENV:
        return Refusal(
            reason=f"{path} is written for docker/dockerfile 1.{old[1]}, which mounts no secret as a variable: "
            f"let it begin with # syntax=docker/dockerfile:1",
        )
    start = row_start(text, found.line)
    match = _RUN.match(text, start)
    if match is None:
        return Refusal(reason=f"{path}:{found.line} runs the bundler in a way that was not followed")
    loose = next((mount for mount in found.mounts if name in (mount.id, mount.id.upper())), None)
    spots = []
    if loose is not None:
        there = re.compile(rf"--mount=\S*\bid={re.escape(loose.id)}\b\S*").search(text, row_start(text, loose.line))
        if there is None:
            return Refusal(reason=f"{path}:{loose.line} mounts {loose.id} in a way that was not followed")
        spots.append((there.end(), f",env={name}"))
    else:
        mount = f"--mount=type=secret,id={name},env={name} \\\n"
        spots.append((match.end(), mount + " " * (match.end() - start)))
    if not _ANY_SYNTAX.search(text):
        spots.append((0, "# syntax=docker/dockerfile:1\n"))
    return Edit(path, _without_argument(inserted(text, spots), name))


def _without_argument(text: str, name: str) -> str:
    """The rows that took the secret as an argument, or kept it as a variable of the image, taken out."""
    row = rf"^[ \t]*(?:ARG[ \t]+{name}(?:=\S*)?|ENV[ \t]+{name}[= ][\"']?\$\{{?{name}\}}?[\"']?)[ \t]*\r?\n"
    return re.sub(row, "", text, flags=re.MULTILINE | re.IGNORECASE)


# --- what builds it -----------------------------------------------------------------------------------


def _handed(case: Case, item: Deployment, name: str) -> Placed | Refusal:
    """The secret, handed over by one build."""
    text = case.files.text(item.path) or ""
    if is_workflow(item.path) and (why := _called(case, item.path, text)):
        return Refusal(reason=why)
    if item.resource == "bundle":
        if not is_workflow(item.path):
            return Refusal(reason=f"{item.path}:{item.line} builds it: give that {name} from where your secrets are")
        return pass_to(case, item, name, lambda *_: f"${{{{ secrets.{name} }}}}")
    if item.line is None or item.origin == "compose":
        return Refusal(reason=f"{item.path} builds the image in a way that hands no secret over: use docker build")
    if is_workflow(item.path) and (step := places.mapping_at(item.path, text, item.line, "with")) is not None:
        return _action(item, text, step, name)
    cloud = is_cloudbuild(item.path)
    if not cloud and not is_workflow(item.path) and item.path.endswith((".yaml", ".yml")):
        return Refusal(reason=f"{item.path} sees no secret of GitHub: let its workflow hand {name} over")
    pair = f"id={name},env={name}"
    step = _step(item, text) if cloud else None
    if cloud and step is not None and (args := children(step).get("args")) is not None and line_of(step) == item.line:
        if not any(text_of(word) == "build" for word in items(args)):
            return Refusal(reason=f"{item.path}:{item.line} builds with a tool that mounts no secret: use docker build")
        return [(item.path, spot) for spot in [*_argument(text, args, pair), *_available(item, text, step, name)]]
    command = command_of(item, text)
    build = next((word for word in command.words if word.plain == "build"), None) if command is not None else None
    if command is None or build is None or command.words[0].plain not in {"docker", "podman"}:
        return Refusal(reason=f"{item.path}:{item.line} builds the image in a way that hands no secret over")
    placed: Placed = [(item.path, (build.end, f" --secret {pair}"))]
    if is_workflow(item.path):
        more = step_variable(case, item, text, name, lambda *_: f"${{{{ secrets.{name} }}}}")
        return more if isinstance(more, Refusal) else [*placed, *more]
    return [*placed, *((item.path, spot) for spot in _available(item, text, step, name))] if cloud else placed


def _called(case: Case, path: str, text: str) -> str:
    """Why a workflow does not see the secret: it is called by one that does not hand its own on."""
    if "workflow_call" not in text:
        return ""
    callers = [other for other in case.files.search([basename(path)]) if is_workflow(other) and other != path]
    if all("secrets: inherit" in (case.files.text(other) or "") for other in callers):
        return ""
    return f"{path} is called by other workflows, which have to hand the secret on"


def _action(item: Deployment, text: str, step: Any, name: str) -> Placed | Refusal:
    """docker/build-push-action."""
    given = children(step)["with"]
    if not places.is_block(given):
        return Refusal(reason=f"the inputs of {item.path}:{item.line} stand in brackets")
    row = f"{name}=${{{{ secrets.{name} }}}}"
    node = children(given).get("secrets")
    if node is None:
        behind = "build-args" if "build-args" in children(given) else given.value[-1][0].value
        return [(item.path, places.keyed(text, given, behind, ["secrets: |", f"  {row}"]))]
    if node.style not in {"|", ">"}:
        return Refusal(reason=f"secrets of {item.path}:{item.line} is one line: write it as a block, and add {row}")
    return [(item.path, places.in_scalar(text, node, row, "\n"))]


def _step(item: Deployment, text: str) -> Any:
    """The step of a Cloud Build file that holds the build."""
    root = next(iter(places.nodes(item.path, text)), None)
    listed = items(at(root, "steps")) if root is not None else []
    return next((node for node in reversed(listed) if line_of(node) <= (item.line or 0)), None)


def _argument(text: str, args: Any, pair: str) -> list[tuple[int, str]]:
    """``--secret`` behind the word ``build``."""
    word = next(node for node in items(args) if text_of(node) == "build")
    more = [places.quoted_like(word, each) for each in (f"--secret={pair}",)]
    if args.flow_style:
        return [
            (
                word.end_mark.index,
                "".join(f", {each}" if '"' in each or "'" in each else f', "{each}"' for each in more),
            )
        ]
    prefix = text[row_start(text, word.start_mark.line + 1) : word.start_mark.index]
    return [(word.end_mark.index, "".join(f"\n{prefix}{each}" for each in more))]


def _available(item: Deployment, text: str, step: Any, name: str) -> list[tuple[int, str]]:
    """What lets a Cloud Build step see a secret: ``secretEnv``, BuildKit, and the secret's own entry."""
    spots: list[tuple[int, str]] = []
    fields = children(step)
    last = step.value[-1][0].value
    rows: list[str] = []
    env = fields.get("env")
    if "DOCKER_BUILDKIT" not in text:
        if env is None:
            rows += ["env:", "  - DOCKER_BUILDKIT=1"]
        elif places.is_block(env):
            spots.append(places.listed(text, env, ["DOCKER_BUILDKIT=1"]))
    secrets = fields.get("secretEnv")
    if secrets is None:
        rows += ["secretEnv:", f"  - {name}"]
    elif places.is_block(secrets):
        spots.append(places.listed(text, secrets, [name]))
    if rows:
        spots.append(places.keyed(text, step, last, rows))
    version = f"projects/$PROJECT_ID/secrets/{_id(name)}/versions/latest"
    entry = [f"versionName: {version}", f"env: {name}"]
    root = next(iter(places.nodes(item.path, text)))
    known = at(root, "availableSecrets", "secretManager")
    if known is not None and places.is_block(known):
        if not any(text_of(children(one).get("env")) == name for one in items(known)):
            spots.append(places.listed(text, known, entry))
        return spots
    end = len(text.rstrip("\r\n"))
    head = f"\n\navailableSecrets:\n  secretManager:\n    - {entry[0]}\n      {entry[1]}"
    return [*spots, (max(end, row_end(text, end)), head)]
