"""A variable of a front end, given to its build: taken by the Dockerfile, and passed by what builds the image."""

from __future__ import annotations

import re
from posixpath import join, normpath
from typing import TYPE_CHECKING

from sentry_audit.deployment.cloudbuild import is_cloudbuild
from sentry_audit.deployment.matching import Matching
from sentry_audit.deployment.workflows import is_workflow
from sentry_audit.facts import Component, DeployedEnvironment, Deployment, FrontendVariable, Image
from sentry_audit.fixers._code import plural
from sentry_audit.fixers.buildpacks import pass_to_source
from sentry_audit.fixers.definitions import edits
from sentry_audit.fixers.images import takes
from sentry_audit.fixers.passing import CLOUDBUILD, SCRIPT, WORKFLOW, merged, pass_to
from sentry_audit.fixing import Change, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixers.definitions import Placed
    from sentry_audit.fixers.passing import Value
    from sentry_audit.fixers.spelling import Spelling
    from sentry_audit.fixing import Case, Fixer

_PUSHES = re.compile(
    r"docker\s+push|--push\b|\bpush:\s*(true|['\"]?\$\{\{)|builds\s+submit|kaniko|^images:", re.MULTILINE
)
_PUSHES_STEP = re.compile(r"['\"]push['\"]|^\s*-\s*push\b|\[push,", re.MULTILINE)


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
    return provide_all(case, [(name, value)], what)


def provide_all(case: Case, wanted: Sequence[tuple[str, Value]], what: str) -> Change | Refusal:
    """Let the build of the front end have several variables, (name, value) each.

    Where nothing is found that builds the image, its Dockerfile takes them all the same: a person has to pass them.
    """
    made = images(case)
    taken: Placed = []
    passed: Placed = []
    later: Refusal | None = None
    for name, value in wanted:
        for image in made:
            if name not in image.args and name not in dict(image.env):
                taken.append((image.path, takes(case.files.text(image.path) or "", name, image.bundles_at or 1)))
        more = _passed(case, name, value, [image.path for image in made])
        if isinstance(more, Refusal):
            if more.commands or shipped(case, [image.path for image in made]):
                return more
            later = more
        else:
            passed += more
    names = plural(name for name, _ in wanted)
    if not taken and not passed:
        return later or Refusal(reason=f"what keeps {names} out of the build was not found")
    paths = ", ".join(dict.fromkeys(path for path, _ in (*taken, *passed)))
    by_hand = f"; pass it with --build-arg: {later.reason}" if later is not None else ""
    return Change(
        summary=f"will give the build of {case.component.name} {what} as {names} in {paths}{by_hand}",
        edits=edits(case, [*taken, *merged(passed)]),
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
