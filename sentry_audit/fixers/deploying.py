"""What a deployment gives to its service, put where the repository defines it: the DSN, and the environment's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.deployment.environments import canonical, rendered
from sentry_audit.deployment.state import states
from sentry_audit.facts import DeployedDsn, Deployment, EnvironmentLabel
from sentry_audit.fixers.definitions import Given, edits, give
from sentry_audit.fixing import Change, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.fixers.definitions import Ask, Placed
    from sentry_audit.fixers.spelling import Spelling
    from sentry_audit.fixing import Case, Fixer

_DEFAULT = ("SENTRY_DSN",)


def variables_of(case: Case) -> tuple[str, ...]:
    """The variables that the component's DSN is read from."""
    return next((fact.variables for fact in case.facts if isinstance(fact, DeployedDsn) and fact.variables), _DEFAULT)


def seen(case: Case) -> list[Deployment]:
    """The deployments that the finding was made of."""
    places = {(place.path, place.line) for fact in case.bad for place in fact.evidence}
    found = [
        item
        for item in case.scanned
        if isinstance(item, Deployment)
        and places & {(item.path, item.line), *((place.path, place.line) for place in item.evidence[:1])}
    ]
    wanted = canonical(case.environment)
    return [item for item in found if not item.environment or canonical(item.environment) == wanted]


def writers(deployments: Sequence[Deployment], environment: str, sort: str) -> list[Deployment]:
    """Those that have to give a variable of that ``sort``: of each pipeline the one that says what the service has.

    One that only brings a new image keeps what is there, so it needs nothing where another says it.
    """
    strong: list[Deployment] = []
    weak: list[Deployment] = []
    for state in states(deployments, environment):
        replacing = [
            item
            for item in state.deployments
            if item.declarative
            or any(one.sort == sort and one.operation in {"set", "clear"} and not one.build for one in item.settings)
        ]
        telling = [item for item in state.deployments if any(not one.build for one in item.settings)]
        if replacing or telling:
            strong += [(replacing or telling)[-1]]
        elif state.deployments:
            weak.append(state.deployments[-1])
    return list({(item.path, item.line): item for item in strong or weak}.values())


def given_to(case: Case, deployments: Sequence[Deployment], ask: Ask) -> Placed | Refusal:
    """What is put into all of ``deployments``, or why one of them refuses."""
    placed: Placed = []
    for item in deployments:
        more = give(case, item, ask)
        if isinstance(more, Refusal):
            return more
        placed += more
    return placed


def command(case: Case, given: str, sort: str = "secret") -> tuple[str, ...]:
    """What can be pasted: the command for each service."""
    flag = "--update-secrets" if sort == "secret" else "--update-env-vars"
    found = []
    for item in (
        seen(case) or [item for item in case.scanned if isinstance(item, Deployment) and item.resource == "service"][:1]
    ):
        name = rendered(item.service, case.environment)
        if name and "$" not in name:
            found.append(f"gcloud run services update {name} {flag}={given}")
    return tuple(dict.fromkeys(found))


def declare_dsn(case: Case) -> Change | Refusal:
    """Give the service the variable of its DSN, from the secret."""
    names = variables_of(case)
    return _dsn(case, names, writers(seen(case), case.environment, "secret"))


def _dsn(case: Case, names: tuple[str, ...], targets: Sequence[Deployment]) -> Change | Refusal:
    name = names[0]
    paste = command(case, f"{name}=sentry-dsn-{case.environment}:latest")
    if not targets:
        return Refusal(reason="which definition deploys it was not found", commands=paste)
    empty = [
        item
        for target in targets
        for item in target.settings
        if item.name in names and item.sort == "plain" and not item.build
    ]
    if empty:
        return Refusal(
            reason=f"{targets[0].path} gives {empty[0].name} as plain text: take that out first", commands=paste
        )
    secrets: list[str] = []

    def ask(spelling: Spelling) -> Given | Refusal:
        agreed = secrets[0] if secrets and "$" not in secrets[0] else ""
        secret = (spelling.here(agreed) if agreed else "") or spelling.secret(names)
        if not secret:
            where = f"{spelling.deployment.path}:{spelling.deployment.line}"
            return Refusal(
                reason=f"{where} deploys to several environments, and nothing in it names the one that it deploys to"
            )
        secrets.append(rendered(secret, case.environment))
        return Given(name, secret)

    targets = sorted(targets, key=lambda item: not any(one.secret for one in item.settings))
    placed = given_to(case, targets, ask)
    if isinstance(placed, Refusal):
        return Refusal(reason=placed.reason, commands=placed.commands or paste)
    paths = ", ".join(dict.fromkeys(item.path for item in targets))
    where = f"the secret {secrets[0]}" if secrets and "$" not in secrets[0] else "its secret"
    first = any('"google_secret_manager_secret" "sentry_dsn"' in insertion[1] for _, insertion in placed)
    more = "; the new secret needs a version before the service is applied" if first else ""
    return Change(summary=f"will pass {name} from {where} in {paths}{more}", safety="review", edits=edits(case, placed))


def keep_dsn(case: Case) -> Change | Refusal:
    """Name the DSN's variable in the definition that replaces all others of its sort."""
    names = variables_of(case)
    wipers = [item for item in seen(case) if item.evidence and case.bad and item.evidence[0] in case.bad[0].evidence]
    setters = [
        item for item in case.scanned if isinstance(item, Deployment) for one in item.settings if one.name in names
    ]
    targets = [item for item in wipers if item not in setters]
    own = [item for item in wipers if item in setters and not any(other in wipers for other in targets)]
    plain = next((one for item in setters for one in item.settings if one.name in names and one.sort == "plain"), None)
    if plain is not None:
        return Refusal(reason=f"{plain.name} is set as plain text elsewhere: take it from a secret in every definition")
    name = next((one.name for item in setters for one in item.settings if one.name in names), names[0])
    return _dsn(case, (name, *(other for other in names if other != name)), targets or own)


def declare_environment(case: Case) -> Change | Refusal:
    """Give the service the variable that its events' environment is read from."""
    if case.component.ecosystem == "npm":
        from sentry_audit.fixers.bundles import provide_label

        return provide_label(case)
    label = next((fact.variables for fact in case.facts if isinstance(fact, EnvironmentLabel)), ())
    name = (label or ("SENTRY_ENVIRONMENT",))[0]
    paste = command(case, f"{name}={case.environment}", "plain")
    targets = writers(seen(case), case.environment, "plain")
    if not targets:
        return Refusal(reason="which definition deploys it was not found", commands=paste)
    wrong = [item for target in targets for item in target.settings if item.name == name and not item.build]
    if wrong:
        return Refusal(reason=f"{targets[0].path} sets {name} to another value: correct it there", commands=paste)

    def ask(spelling: Spelling) -> Given | Refusal:
        value = spelling.label()
        if not value:
            where = f"{spelling.deployment.path}:{spelling.deployment.line}"
            return Refusal(reason=f"nothing in {where} says to which environment it deploys")
        return Given(name, value, "plain")

    placed = given_to(case, targets, ask)
    if isinstance(placed, Refusal):
        return Refusal(reason=placed.reason, commands=placed.commands or paste)
    paths = ", ".join(dict.fromkeys(item.path for item in targets))
    return Change(
        summary=f"will set {name} for {case.environment} in {paths}", safety="review", edits=edits(case, placed)
    )


FIXERS: dict[str, Fixer] = {
    "deploy-dsn-declared": declare_dsn,
    "deploy-wipes-dsn": keep_dsn,
    "deploy-environment-declared": declare_environment,
}
