"""A variable of a front end, given to its build: taken by the Dockerfile, and passed by what builds the image."""

from __future__ import annotations

import re
from posixpath import join, normpath
from typing import TYPE_CHECKING

from sentry_audit.deployment.cloudbuild import is_cloudbuild
from sentry_audit.deployment.matching import Matching
from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.facts import Component, DeployedEnvironment, Deployment, FrontendVariable, Image
from sentry_audit.fixers import shell_words
from sentry_audit.fixers import yaml_places as places
from sentry_audit.fixers.buildpacks import pass_to_source
from sentry_audit.fixers.definitions import command_of, edits
from sentry_audit.fixers.images import takes
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.texts import indent_at, row_at, row_end, row_start
from sentry_audit.fixing import Change, Refusal
from sentry_audit.scanners.nodes import at, children, items, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixing import Case, Fixer

    #: The value of a variable where an image is built, as it is written there: from a spelling, and where that is.
    Value: TypeAlias = "Callable[[Spelling, str], str | Refusal]"

#: A build with more arguments than fit here has one a row.
_WIDEST_BUILD = 72
_PUSHES = re.compile(
    r"docker\s+push|--push\b|\bpush:\s*(true|['\"]?\$\{\{)|builds\s+submit|kaniko|^images:", re.MULTILINE
)
_PUSHES_STEP = re.compile(r"['\"]push['\"]|^\s*-\s*push\b|\[push,", re.MULTILINE)
#: The kinds of place that build: each reads values in its own way.
SCRIPT, WORKFLOW, CLOUDBUILD = "script", "workflow", "cloudbuild"


def images(case: Case) -> list[Image]:
    """The Dockerfiles that bundle the front end."""
    return [
        fact
        for fact in case.scanned
        if isinstance(fact, Image) and fact.bundles_at is not None and case.component.holds(fact.path)
    ]


def builds(case: Case) -> list[Deployment]:
    """What builds the component's image, or its bundle, in the environment."""
    other = Component(name="", path="?")  # two of them: a build is not taken for the only component's
    matching = Matching([case.component, other], case.scanned)
    found = matching.images(case.component, case.environment)
    return list({(item.path, item.line): item for item in found}.values())


def provide(case: Case, name: str, value: Value, what: str) -> Change | Refusal:
    """Let the build of the front end have ``name``: ``what`` says in words what it is given."""
    made = images(case)
    taken: Placed = []
    for image in made:
        if name not in image.args and name not in dict(image.env):
            taken.append((image.path, takes(case.files.text(image.path) or "", name, image.bundles_at or 1)))
    passed = _passed(case, name, value, [image.path for image in made])
    if isinstance(passed, Refusal):
        return passed
    if not taken and not passed:
        return Refusal(reason=f"what keeps {name} out of the build was not found")
    paths = ", ".join(dict.fromkeys(path for path, _ in (*taken, *passed)))
    return Change(
        summary=f"will give the build of {case.component.name} {what} as {name} in {paths}",
        edits=edits(case, [*taken, *passed]),
    )


def _passed(case: Case, name: str, value: Value, dockerfiles: Sequence[str]) -> Placed | Refusal:
    """What has to be put where for the build to be given the variable."""
    wanted = shipped(case, dockerfiles)
    if not wanted:
        source = next((item for item in _deployed(case) if item.source), None)
        if source is not None and not dockerfiles and not _dockerfile(case, source):
            kind = WORKFLOW if is_workflow(source.path) else CLOUDBUILD if is_cloudbuild(source.path) else SCRIPT
            mine = [item for item in _deployed(case) if item.source and not item.image]
            return pass_to_source(case, mine, name, value, kind)
        if source is not None:
            place = source.evidence[0] if source.evidence else source.path
            return Refusal(
                reason=f"{place} deploys from source, and Cloud Run passes no build arguments to a Dockerfile: "
                "build the image with docker build, and deploy it with --image",
                commands=(
                    f'docker build --build-arg "{name}=…" --tag "$IMAGE" {source.source}',
                    'docker push "$IMAGE"',
                ),
            )
        return Refusal(
            reason=f"what builds {case.component.name} for {case.environment} was not found in the repository"
        )
    placed: Placed = []
    for item in wanted:
        if any(one.name == name and one.is_set for one in item.settings):
            continue
        more = pass_to(case, item, name, value)
        if isinstance(more, Refusal):
            return more
        placed += more
    return placed


def shipped(case: Case, dockerfiles: Sequence[str]) -> list[Deployment]:
    """The builds of the images that leave where they are built; those of bundles where there is no Dockerfile."""
    found = builds(case)
    wanted = [item for item in found if item.resource == "image" and _of(item, dockerfiles) and _ships(case, item)]
    return wanted or [item for item in found if item.resource == "bundle" and not dockerfiles]


def _dockerfile(case: Case, item: Deployment) -> bool:
    """Whether the folder that is deployed from source has a Dockerfile: then no buildpack builds it."""
    return normpath(join(item.source or ".", "Dockerfile")) in case.files.paths


def _deployed(case: Case) -> list[Deployment]:
    other = Component(name="", path="?")
    return Matching([case.component, other], case.scanned).of(case.component.name, case.environment)


def _ships(case: Case, item: Deployment) -> bool:
    """Whether an image leaves where it is built: one for tests needs nothing."""
    text = case.files.text(item.path) or ""
    return bool(_PUSHES.search(text)) or (is_cloudbuild(item.path) and bool(_PUSHES_STEP.search(text)))


def _of(item: Deployment, dockerfiles: Sequence[str]) -> bool:
    """Whether a build is of one of ``dockerfiles``."""
    named = item.dockerfile or normpath(join(item.source or ".", "Dockerfile"))
    options = {normpath(named), normpath(join(item.source or ".", item.dockerfile or "Dockerfile"))}
    return any(path in options for path in dockerfiles)


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


# --- what the variables are given -------------------------------------------------------------------


def dsn_value(name: str) -> Value:
    """The DSN, where an image is built: from its secret in a script, from GitHub's secrets in a workflow."""

    def value(spelling: Spelling, kind: str) -> str | Refusal:
        if kind == WORKFLOW:
            used = re.findall(
                r"\$\{\{\s*(vars|secrets)\.NEXT_PUBLIC_\w+|\$\{\{\s*(vars|secrets)\.VITE_\w+", spelling.raw
            )
            store = next((first or second for first, second in used), "secrets")
            return f"${{{{ {store}.{name} }}}}"
        if kind == CLOUDBUILD:
            if re.search(r"--build-arg\W+\w+=\$\{?_", spelling.raw):
                return f"${{_{name}}}"
            return Refusal(
                reason=f"{spelling.deployment.path}:{spelling.deployment.line} passes no substitution to its build yet: "
                "how the DSN is to come there is not clear",
                commands=(
                    f"--build-arg={name}=${{_{name}}}",
                    f"gcloud builds triggers update … --update-substitutions=_{name}=…",
                ),
            )
        if "gcloud" not in spelling.around:
            return Refusal(
                reason=f"{spelling.deployment.path} does not use gcloud: where it is to take the DSN from is not clear"
            )
        secret = spelling.secret((name, "SENTRY_DSN"))
        if not secret:
            return Refusal(reason=f"nothing in {spelling.deployment.path} says for which environment it builds")
        quoted = f'"{secret}"' if "$" in secret else secret
        return f"$(gcloud secrets versions access latest --secret={quoted})"

    return value


def label_value(spelling: Spelling, kind: str) -> str | Refusal:
    """The environment's name, where an image is built."""
    found = spelling.label()
    if not found or (kind == SCRIPT and "{{" in found):
        return Refusal(
            reason=f"nothing in {spelling.deployment.path}:{spelling.deployment.line} says for which environment it builds"
        )
    return found


def provide_dsn(case: Case) -> Change | Refusal:
    """Give the build the DSN."""
    name = next((fact.name for fact in case.bad if isinstance(fact, FrontendVariable)), "")
    if not name:
        return Refusal(reason="which variable the DSN comes from was not found")
    change = provide(case, name, dsn_value(name), "the DSN")
    if isinstance(change, Change) and any(
        "secrets." in (edit.after or "") and is_workflow(edit.path) for edit in change.edits
    ):
        from msgspec.structs import replace

        return replace(change, summary=f"{change.summary}; {name} has to be set in GitHub")
    return change


_READS = re.compile(r"reads (\w+)")


def provide_label(case: Case) -> Change | Refusal:
    """Give the build the variable that init's environment is read from."""
    problem = next((fact.problem for fact in case.bad if isinstance(fact, DeployedEnvironment)), "")
    match = _READS.search(problem)
    if match is None:
        return Refusal(reason="init is given no environment: give it one, from a variable that the build gets")
    return provide(case, match[1], label_value, "the environment's name")


FIXERS: dict[str, Fixer] = {"frontend-dsn-at-build": provide_dsn, "frontend-dsn-provided": provide_dsn}
