"""Snapshots of Google Cloud for tests: a project that is all right, and what is changed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sentry_audit import chain, engine
from sentry_audit.app import shipped_checks
from sentry_audit.cloud import (
    Container,
    DsnSeen,
    Failure,
    Grant,
    Project,
    Secret,
    SecretVersion,
    Service,
    Serving,
    Snapshot,
    Target,
    Template,
    Variable,
)
from sentry_audit.deployment.matching import Matching
from sentry_audit.deployment.reading import read
from sentry_audit.derive.cloud import cloud_facts
from sentry_audit.derive.matrix import dsn_matrix
from sentry_audit.facts import Component, DsnArgument, Fact, Shutdown
from sentry_audit.model import Link
from tests.trees import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.model import ChainLink, Finding

CHECKS = shipped_checks(examples=False)
API = Component(name="api", component="api", path=".", server="uvicorn")
WEB = Component(name="web", component="web", path="web", ecosystem="npm", role="frontend")
ACCOUNT = "api@shop.iam.gserviceaccount.com"
COMPUTE = "123456-compute@developer.gserviceaccount.com"
ACCESSOR = "roles/secretmanager.secretAccessor"
ARGUMENT = DsnArgument(resolves=True, source="the variable SENTRY_DSN", variables=("SENTRY_DSN",))
FLUSHES = Shutdown(server="uvicorn", flushes=True)
CODE: tuple[Fact, ...] = (ARGUMENT, FLUSHES)
GOOD = DsnSeen(
    shown="https://…a1f3@o1.ingest.us.sentry.io/451", valid=True, fingerprint="f1", host="o1.ingest.us.sentry.io", project="451"
)  # fmt: skip
OTHER = DsnSeen(
    shown="https://…b2e4@o1.ingest.us.sentry.io/452", valid=True, fingerprint="f2", host="o1.ingest.us.sentry.io", project="452"
)  # fmt: skip
DENIED = Failure(
    code="PERMISSION_DENIED",
    reason="it may not be read by audit@shop.iam.gserviceaccount.com",
    permission="some.permission",
    resource="projects/shop",
    command="gcloud projects add-iam-policy-binding shop --role=roles/some",
)
UNREACHABLE = Failure(code="UNAVAILABLE", reason="europe-west1 did not answer")
FROM_SECRET = Variable(name="SENTRY_DSN", secret="sentry-dsn-staging", version="latest")
PLAIN = Variable(name="SENTRY_DSN", dsn=GOOD)
LABEL = Variable(name="SENTRY_ENVIRONMENT", value="staging")
DEPLOY = (
    "gcloud run deploy shop-api-staging --project=shop-staging --update-secrets=SENTRY_DSN=sentry-dsn-staging:latest "
    "--update-env-vars=SENTRY_ENVIRONMENT=staging"
)


def container(*variables: Variable, **fields: Any) -> Container:
    return Container(**{"name": "api", "variables": variables, **fields})


def template(*variables: Variable, **fields: Any) -> Template:
    return Template(**{"containers": (container(*variables),), "account": ACCOUNT, **fields})


RIGHT = template(FROM_SECRET, LABEL)


def serving(**fields: Any) -> Serving:
    usual = {"revision": "shop-api-staging-00042", "percent": 100, "created": "2026-11-02T10:00:00Z", "template": RIGHT}
    return Serving(**{**usual, **fields})


def service(*variables: Variable, **fields: Any) -> Service:
    """A service that is all right; with ``variables`` it and what serves have those instead."""
    shape = template(*variables) if variables else RIGHT
    shape = fields.get("template", shape)
    usual = {
        "project": "shop", "region": "europe-west1", "name": "shop-api-staging", "template": shape,
        "serving": (serving(template=shape),), "latest_ready": "shop-api-staging-00042",
        "latest_created": "shop-api-staging-00042", "manager": "gcloud",
    }  # fmt: skip
    return Service(**{**usual, **fields})


def version(**fields: Any) -> SecretVersion:
    usual = {"asked": "latest", "number": "3", "state": "ENABLED", "created": "2026-11-01T10:00:00Z", "dsn": GOOD}
    return SecretVersion(**{**usual, **fields})


def secret(*versions: SecretVersion, **fields: Any) -> Secret:
    usual = {
        "project": "shop", "name": "sentry-dsn-staging", "versions": versions or (version(),),
        "grants": (Grant(role=ACCESSOR, members=(f"serviceAccount:{ACCOUNT}",)),),
    }  # fmt: skip
    return Secret(**{**usual, **fields})


def project(**fields: Any) -> Project:
    usual = {
        "id": "shop", "number": "123456", "regions": ("europe-west1",), "services": (service(),), "secrets": (secret(),),
        "grants": (),
    }  # fmt: skip
    return Project(**{**usual, **fields})


def target(**fields: Any) -> Target:
    usual = {
        "component": "api", "environment": "staging", "project": "shop", "regions": ("europe-west1",),
        "service": "shop-api-staging",
    }  # fmt: skip
    return Target(**{**usual, **fields})


def snapshot(*projects: Project, **fields: Any) -> Snapshot:
    usual = {"taken_at": "2026-11-03T10:00:00Z", "projects": projects or (project(),), "targets": (target(),)}
    return Snapshot(**{**usual, **fields})


def derived(
    seen: Snapshot | None, facts: Sequence[Fact] = CODE, deploy: str = DEPLOY, component: Component = API
) -> list[Fact]:
    """What follows of ``component`` in staging; ``deploy`` is the script that deploys it."""
    mine = [replace(fact, component=component.name) for fact in facts]
    deployments = read(Texts({"deploy.sh": deploy})).facts if deploy else []
    matching = Matching([component], deployments)
    return [
        *mine,
        *cloud_facts(component, "staging", seen, mine, matching),
        *dsn_matrix(component, "staging", seen, mine),
    ]


def findings(seen: Snapshot | None, check: str = "", required: bool = True, **given: Any) -> list[Finding]:
    """The findings about staging, of one check or of all."""
    component = given.get("component", API)
    chosen = [item for item in CHECKS if check in {"", item.id}]
    return list(engine.evaluate(chosen, derived(seen, **given), [], [component], "staging", required))


def one(seen: Snapshot | None, check: str, **given: Any) -> Finding:
    """The only finding of ``check``."""
    [found] = findings(seen, check, **given)
    return found


def link(seen: Snapshot | None, which: Link, **given: Any) -> ChainLink:
    """One link of the chain, by the checks of Google Cloud alone."""
    found = [item for item in findings(seen, **given) if item.link in {Link.SECRET, Link.CLOUD_RUN}]
    links = chain.build(given.get("component", API), found, "staging", {Link.CLOUD_RUN: "not looked at"})
    return next(item for item in links if item.link is which)
