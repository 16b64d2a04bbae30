"""Every check of what Google Cloud holds: red, green and undecided, from snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from sentry_audit import app, auditing
from sentry_audit.cloud import Container, Grant, Mount, Project, Serving, Snapshot, Template, Variable
from sentry_audit.cloud_facts import DeployDrift, SecretPayload
from sentry_audit.derive.cloud import KINDS, cloud_facts
from sentry_audit.derive.live import before
from sentry_audit.facts import (
    DeployedDsn,
    DeployedEnvironment,
    DsnArgument,
    FrontendVariable,
    SdkInit,
    SecretScript,
    Shutdown,
)
from sentry_audit.model import Evidence, Link, Status
from tests.snapshots import (
    ACCESSOR,
    ACCOUNT,
    API,
    CODE,
    COMPUTE,
    DENIED,
    FROM_SECRET,
    GOOD,
    LABEL,
    OTHER,
    PLAIN,
    RIGHT,
    UNREACHABLE,
    WEB,
    container,
    derived,
    findings,
    link,
    one,
    project,
    secret,
    service,
    serving,
    snapshot,
    target,
    template,
    version,
)
from tests.trees import IMAGE, SDK, write

if TYPE_CHECKING:
    from pathlib import Path

#: The checks of this part of the catalogue.
LIVE = (
    "secret-dsn-exists", "secret-dsn-enabled", "secret-dsn-valid", "secret-dsn-readable", "secret-dsn-current",
    "cloud-run-dsn-env", "cloud-run-dsn-from-secret", "cloud-run-environment-env", "cloud-run-serving-revision",
    "cloud-run-tagged-revision", "cloud-run-cpu-throttled", "cloud-run-egress", "deploy-drift",
)  # fmt: skip


def of(*services: Any, **fields: Any) -> Snapshot:
    """A snapshot with these services, and other ``fields`` of the project."""
    return snapshot(project(**{"services": services, **fields}))


def holding(*secrets: Any, **fields: Any) -> Snapshot:
    return snapshot(project(secrets=secrets, **fields))


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [name for name in LIVE if name != "cloud-run-tagged-revision"])
def test_a_project_that_is_all_right_passes(check: str) -> None:
    found = one(snapshot(), check)
    assert found.status is Status.PASS, found.message
    assert found.evidence
    assert found.evidence[0].resource


def test_both_links_of_the_chain_are_proven() -> None:
    assert link(snapshot(), Link.SECRET).status is Status.PASS
    assert link(snapshot(), Link.CLOUD_RUN).status is Status.PASS


def test_offline_nothing_is_derived_and_the_checks_say_so() -> None:
    assert cloud_facts(API, "staging", None, CODE, Any) == []  # type: ignore[arg-type]
    for check in LIVE:
        found = one(None, check)
        assert found.status is Status.SKIPPED
        assert "Google Cloud was not asked (--offline)" in found.message
        assert not found.needless
    assert link(None, Link.CLOUD_RUN).status is Status.UNKNOWN
    assert link(None, Link.CLOUD_RUN).message == "not looked at"


def test_a_component_that_nothing_deploys_to_cloud_run_is_not_judged() -> None:
    assert one(snapshot(targets=()), "cloud-run-dsn-env").status is Status.SKIPPED
    assert {item.status for check in LIVE for item in findings(snapshot(targets=()), check)} == {Status.SKIPPED}


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (snapshot(failure=DENIED), "may not be read by audit"),
        (snapshot(targets=(target(project="", why="no project is named: give --project"),)), "give --project"),
        (snapshot(targets=(target(service="", why="which service it is was not told"),)), "was not told"),
        (snapshot(targets=(target(service=""),)), "which Cloud Run service is api's is not known"),
        (snapshot(targets=(target(project="other"),)), "the project other was not read"),
    ],
)
def test_where_nothing_could_be_seen_every_check_is_unknown(seen: Snapshot, reason: str) -> None:
    for check in LIVE:
        found = one(seen, check)
        assert found.status is Status.UNKNOWN
        assert reason in found.message
    assert {fact.kind for fact in derived(seen) if fact.unknown} == {kind.kind for kind in KINDS}
    assert link(seen, Link.SECRET).status is Status.UNKNOWN


def test_an_unknown_says_which_permission_and_how_to_get_it() -> None:
    found = one(snapshot(failure=DENIED), "cloud-run-dsn-env")
    assert "needs some.permission on projects/shop" in found.message
    assert found.hint == DENIED.command


def test_at_most_three_hints_each_once() -> None:
    names = [f"SENTRY_DSN_{number}" for number in range(5)]
    facts = [DeployDrift(name=name, unknown="?", hint=f"command {index // 2}") for index, name in enumerate(names)]
    facts += [DeployDrift(unknown="?", hint=f"more {number}") for number in range(5)]
    assert one(None, "deploy-drift", facts=facts).hint == "command 0\ncommand 1\ncommand 2"


def test_each_service_that_a_component_runs_as_is_judged() -> None:
    worker = service(LABEL, name="shop-worker-staging")
    seen = replace(of(service(), worker), targets=(target(), target(service="shop-worker-staging")))
    found = one(seen, "cloud-run-dsn-env")
    assert found.status is Status.GAP
    assert found.message == "shop-worker-staging has no SENTRY_DSN"


def test_where_sentry_is_optional_nothing_of_it_is_a_gap() -> None:
    for check in LIVE:
        [found] = findings(of(), check, required=False)
        assert found.status is Status.SKIPPED


# --- the secret -----------------------------------------------------------------------------------


def test_a_secret_that_is_not_there_is_a_gap_with_the_one_that_may_be_meant() -> None:
    seen = holding(secret(exists=False, versions=(), grants=None), names=("sentry-dsn-stagng", "sentry-auth"))
    found = one(seen, "secret-dsn-exists")
    assert found.status is Status.GAP
    assert "did you mean sentry-dsn-stagng?" in found.message
    assert "shop-api-staging takes SENTRY_DSN from it" in found.message
    assert found.remedy is not None
    assert "gcloud secrets create sentry-dsn-staging --project=shop" in found.remedy.summary
    assert link(seen, Link.SECRET).status is Status.GAP


def test_names_that_differ_are_shown_with_where_they_stand() -> None:
    facts = [
        *CODE,
        DeployedDsn(declared=True, secret="sentry-dsn-stage", evidence=(Evidence("deploy.sh", 3),)),
        SecretScript(path="secrets.sh", covers=True, names=("SENTRY_DSN_STAGING", "db-password")),
    ]
    found = one(holding(secret(exists=False)), "secret-dsn-exists", facts=facts)
    assert "sentry-dsn-stage (deploy.sh:3)" in found.message
    assert "SENTRY_DSN_STAGING (secrets.sh creates)" in found.message
    assert "db-password" not in found.message


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (holding(secret(exists=None, failure=DENIED)), "may not be read"),
        (holding(unnamed=DENIED), "may not be read"),
        (
            snapshot(project(secrets=(), services=(service(replace(FROM_SECRET, secret="app-config")),))),
            "was not asked",
        ),
        (
            snapshot(project(services=(service(replace(FROM_SECRET, secret_project="vault")),))),
            "the project vault was not read",
        ),
    ],
)
def test_a_secret_that_was_not_seen_is_unknown(seen: Snapshot, reason: str) -> None:
    found = one(seen, "secret-dsn-exists")
    assert found.status is Status.UNKNOWN
    assert reason in found.message
    assert one(seen, "secret-dsn-readable").status is Status.UNKNOWN


def test_without_a_reference_the_usual_name_is_looked_for() -> None:
    bare = service(LABEL)
    found = one(snapshot(project(services=(bare,), secrets=())), "secret-dsn-exists", deploy="")
    assert found.status is Status.GAP
    assert "sentry-dsn-staging" in found.message
    named = snapshot(project(services=(bare,), secrets=(), names=("sentry-dsn-staging",)))
    assert one(named, "secret-dsn-exists").status is Status.PASS
    assert one(named, "secret-dsn-enabled").status is Status.UNKNOWN  # its name is all that was seen


def test_the_repository_s_reference_counts_where_the_service_has_none() -> None:
    deployed = DeployedDsn(declared=True, secret="sentry-dsn-eu", version="4", evidence=(Evidence("deploy.sh", 3),))
    seen = snapshot(project(services=(service(PLAIN),), secrets=(secret(name="sentry-dsn-eu", exists=False),)))
    found = one(seen, "secret-dsn-exists", facts=[*CODE, deployed])
    assert found.status is Status.GAP
    assert "deploy.sh:3 takes the DSN from it" in found.message
    followed = replace(deployed, secret="sentry-$NAME")
    assert one(seen, "secret-dsn-exists", facts=[*CODE, followed]).status is Status.UNKNOWN


def test_a_plain_value_that_nothing_else_replaces_needs_no_secret() -> None:
    seen = of(service(PLAIN, LABEL))
    for check in LIVE[:5]:
        found = one(seen, check)
        assert found.status is Status.SKIPPED
        assert found.needless
        assert "as a plain value" in found.message
    proven = link(seen, Link.SECRET)
    assert proven.status is Status.PASS
    assert proven.message.startswith("nothing is needed: ")


def test_a_service_in_two_regions_is_judged_in_both() -> None:
    other = service(replace(FROM_SECRET, secret="sentry-dsn-us"), LABEL, region="us-central1")
    seen = snapshot(
        project(
            services=(service(), other),
            secrets=(secret(), secret(name="sentry-dsn-us", exists=False)),
            regions=("europe-west1", "us-central1"),
        ),
        targets=(target(regions=()),),
    )
    found = one(seen, "secret-dsn-exists")
    assert found.status is Status.GAP
    assert "sentry-dsn-us" in found.message


@pytest.mark.parametrize(
    ("asked", "seen", "words"),
    [
        ("2", version(asked="2", number="2", state="DISABLED", dsn=None), "breaks the next cold start"),
        ("2", version(asked="2", number="2", state="DESTROYED", dsn=None), "is destroyed"),
        ("live", version(asked="live", number="", state="MISSING", dsn=None), "is not there"),
        ("latest", version(state="DISABLED", dsn=None), "nothing falls back to an older one"),
        ("latest", version(number="", state="MISSING", dsn=None), "the secret has no version"),
    ],
)
def test_a_version_that_cannot_be_read_is_a_gap(asked: str, seen: Any, words: str) -> None:
    there = snapshot(project(services=(service(replace(FROM_SECRET, version=asked), LABEL),), secrets=(secret(seen),)))
    found = one(there, "secret-dsn-enabled")
    assert found.status is Status.GAP
    assert words in found.message
    assert found.remedy is not None
    assert "gcloud " in found.remedy.summary
    assert one(there, "secret-dsn-valid").status is Status.SKIPPED


def test_a_disabled_version_is_enabled_by_its_number() -> None:
    found = one(holding(secret(version(state="DISABLED", dsn=None))), "secret-dsn-enabled")
    assert found.remedy is not None
    assert "gcloud secrets versions enable 3 --secret=sentry-dsn-staging --project=shop" in found.remedy.summary


@pytest.mark.parametrize("versions", [(version(state="", dsn=None, failure=DENIED),), (version(asked="7"),)])
def test_a_version_that_was_not_seen_is_unknown(versions: Any) -> None:
    seen = holding(secret(*versions))
    assert one(seen, "secret-dsn-enabled").status is Status.UNKNOWN
    assert one(seen, "secret-dsn-valid").status is Status.UNKNOWN


def test_a_payload_with_a_newline_is_a_gap_and_stays_hidden() -> None:
    newline = replace(GOOD, valid=False, problem="it has white space or a newline around it")
    seen = holding(secret(version(dsn=newline)))
    found = one(seen, "secret-dsn-valid")
    assert found.status is Status.GAP
    assert "newline" in found.message
    assert "printf" in (found.remedy.summary if found.remedy else "")
    assert link(seen, Link.SECRET).status is Status.GAP


def test_a_placeholder_is_no_dsn() -> None:
    assert one(holding(secret(version(dsn=replace(GOOD, valid=False)))), "secret-dsn-valid").status is Status.GAP


def test_what_a_secret_holds_breaks_the_link_of_the_secret_and_no_other() -> None:
    [payload] = [fact for fact in derived(snapshot()) if isinstance(fact, SecretPayload)]
    assert (payload.fingerprint, payload.name, payload.component) == ("f1", "sentry-dsn-staging", "api")
    assert payload.evidence[0].resource == "projects/shop/secrets/sentry-dsn-staging/versions/latest"
    broken = holding(secret(version(dsn=replace(GOOD, valid=False, problem="it is quoted"))))
    assert one(broken, "secret-dsn-valid").status is Status.GAP
    assert one(broken, "dsn-format").status is Status.SKIPPED


def test_a_payload_that_was_not_read_is_unknown_with_the_permission() -> None:
    unread = replace(
        DENIED, permission="secretmanager.versions.access", command="gcloud secrets add-iam-policy-binding x"
    )
    found = one(holding(secret(version(dsn=None, unread=unread))), "secret-dsn-valid")
    assert found.status is Status.UNKNOWN
    assert "secretmanager.versions.access" in found.message
    assert found.hint == unread.command
    assert one(holding(secret(version(dsn=None))), "secret-dsn-valid").status is Status.UNKNOWN


# --- who may read it ------------------------------------------------------------------------------

ME = f"serviceAccount:{ACCOUNT}"


def granting(*grants: Grant, **fields: Any) -> Snapshot:
    """The secret grants nothing, the project these."""
    return snapshot(project(secrets=(secret(grants=()),), grants=grants, **fields))


@pytest.mark.parametrize(
    "grant",
    [
        Grant(role=ACCESSOR, members=(ME,)),
        Grant(role=ACCESSOR, members=(f"serviceAccount:{ACCOUNT.upper()}",)),
        Grant(role="roles/secretmanager.admin", members=("user:a@b.c", ME)),
        Grant(role="roles/owner", members=(ME,)),
        Grant(role=ACCESSOR, members=("allAuthenticatedUsers",)),
    ],
)
def test_what_the_project_grants_is_enough(grant: Grant) -> None:
    assert one(granting(grant), "secret-dsn-readable").status is Status.PASS


@pytest.mark.parametrize(
    "grant",
    [
        Grant(role="roles/editor", members=(ME,)),
        Grant(role="roles/secretmanager.viewer", members=(ME,)),
        Grant(role="roles/secretmanager.secretVersionAdder", members=(ME,)),
        Grant(role=ACCESSOR, members=("serviceAccount:other@shop.iam.gserviceaccount.com",)),
        Grant(role=ACCESSOR, members=(f"deleted:serviceAccount:{ACCOUNT}?uid=1",)),
        Grant(role=ACCESSOR, members=(f"user:{ACCOUNT}",)),
    ],
)
def test_other_roles_and_members_are_not(grant: Grant) -> None:
    found = one(granting(grant), "secret-dsn-readable")
    assert found.status is Status.GAP
    assert "neither the secret nor the project shop grants it" in found.message
    assert "folder" in found.message


def test_owner_of_a_secret_is_no_role() -> None:
    seen = holding(secret(grants=(Grant(role="roles/owner", members=(ME,)),)))
    assert one(seen, "secret-dsn-readable").status is Status.GAP


def test_the_default_compute_account_is_named_as_such() -> None:
    seen = of(service(template=replace(RIGHT, account=COMPUTE)))
    found = one(seen, "secret-dsn-readable")
    assert found.status is Status.GAP
    assert f"{COMPUTE} (the default compute account)" in found.message
    assert found.remedy is not None
    assert (
        "gcloud secrets add-iam-policy-binding sentry-dsn-staging --project=shop "
        f"--member=serviceAccount:{COMPUTE} --role={ACCESSOR}" in found.remedy.summary
    )


def test_the_account_of_a_revision_that_still_serves_counts() -> None:
    old = serving(template=replace(RIGHT, account=COMPUTE), percent=10)
    found = one(of(service(serving=(serving(percent=90), old))), "secret-dsn-readable")
    assert found.status is Status.GAP
    assert COMPUTE in found.message


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        (Grant(role=ACCESSOR, members=("group:sre@shop.dev",)), "group:sre@shop.dev"),
        (Grant(role=ACCESSOR, members=("principalSet://iam.googleapis.com/x",)), "principalSet:"),
        (Grant(role=ACCESSOR, members=("projectEditor:shop",)), "projectEditor:shop"),
        (Grant(role="projects/shop/roles/reader", members=(ME,)), "projects/shop/roles/reader"),
        (Grant(role="organizations/1/roles/reader", members=(ME,)), "organizations/1/roles/reader"),
        (Grant(role=ACCESSOR, members=(ME,), condition="request.time < now"), "request.time < now"),
    ],
)
def test_what_a_policy_alone_does_not_tell_is_unknown_and_named(grant: Grant, words: str) -> None:
    found = one(granting(grant), "secret-dsn-readable")
    assert found.status is Status.UNKNOWN
    assert words in found.message
    assert "gcloud asset analyze-iam-policy" in found.hint
    plainly = granting(grant, Grant(role=ACCESSOR, members=(ME,)))
    assert one(plainly, "secret-dsn-readable").status is Status.PASS


@pytest.mark.parametrize(
    "seen",
    [
        holding(secret(grants=None, policy_failure=DENIED)),
        holding(secret(grants=()), grants=None, policy_failure=DENIED),
    ],
)
def test_a_policy_that_could_not_be_read_is_unknown(seen: Snapshot) -> None:
    found = one(seen, "secret-dsn-readable")
    assert found.status is Status.UNKNOWN
    assert "some.permission" in found.message
    assert found.hint == DENIED.command


def test_one_policy_that_grants_is_enough_where_the_other_is_unread() -> None:
    seen = holding(secret(), grants=None, policy_failure=DENIED)
    assert one(seen, "secret-dsn-readable").status is Status.PASS
    assert one(holding(secret(grants=()), grants=None), "secret-dsn-readable").status is Status.UNKNOWN


def test_an_account_that_was_not_told_is_unknown() -> None:
    assert one(of(service(template=replace(RIGHT, account=""))), "secret-dsn-readable").status is Status.UNKNOWN


# --- what running instances have ------------------------------------------------------------------


def test_a_revision_older_than_the_newest_version_may_have_the_old_value() -> None:
    seen = holding(secret(version(created="2026-11-02T10:00:00.000001Z", number="4")))
    found = one(seen, "secret-dsn-current")
    assert found.status is Status.GAP
    assert "100% of the traffic" in found.message
    assert found.remedy is not None
    assert "--update-secrets=SENTRY_DSN=sentry-dsn-staging:4" in found.remedy.summary


def test_a_pinned_version_is_what_was_asked_for() -> None:
    pinned = service(replace(FROM_SECRET, version="3"), LABEL)
    seen = snapshot(
        project(services=(pinned,), secrets=(secret(version(asked="3"), version(created="2027-01-01T00:00:00Z")),))
    )
    assert one(seen, "secret-dsn-current").status is Status.PASS


def test_a_serving_revision_that_pins_is_not_stale() -> None:
    old = serving(template=template(replace(FROM_SECRET, version="2"), LABEL), created="2026-01-01T00:00:00Z")
    assert one(of(service(serving=(old,))), "secret-dsn-current").status is Status.PASS


@pytest.mark.parametrize(
    "revision", [serving(created=""), serving(created="yesterday"), serving(template=None, failure=DENIED)]
)
def test_without_a_revision_s_age_it_is_unknown(revision: Serving) -> None:
    assert one(of(service(serving=(revision,))), "secret-dsn-current").status is Status.UNKNOWN


def test_jobs_read_it_anew_each_time() -> None:
    seen = snapshot(project(services=(service(sort="job", serving=()),)), targets=(target(sort="job"),))
    found = one(seen, "secret-dsn-current")
    assert found.status is Status.SKIPPED
    assert "reads it anew" in found.message


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("2026-11-02T10:00:00Z", "2026-11-02T10:00:00.5Z", True),
        ("2026-11-02T10:00:00.100Z", "2026-11-02T10:00:00.1+00:00", False),
        ("2026-11-02T10:00:01Z", "2026-11-02T10:00:00.999999999Z", False),
        ("2026-11-02T10:00:00+02:00", "2026-11-02T10:00:00Z", None),
        ("", "2026-11-02T10:00:00Z", None),
    ],
)
def test_moments_are_compared_as_they_are_written(left: str, right: str, expected: bool | None) -> None:
    assert before(left, right) is expected


# --- the variable ---------------------------------------------------------------------------------


def test_a_service_without_the_variable_is_a_gap_with_the_line_that_passes_it() -> None:
    found = one(of(service(LABEL)), "cloud-run-dsn-env")
    assert found.status is Status.GAP
    assert found.message == "shop-api-staging has no SENTRY_DSN"
    assert found.evidence[0].resource == "projects/shop/locations/europe-west1/services/shop-api-staging"
    assert found.remedy is not None
    assert (
        "gcloud run services update shop-api-staging --project=shop --region=europe-west1 "
        "--update-secrets=SENTRY_DSN=sentry-dsn-staging:latest" in found.remedy.summary
    )
    assert link(of(service(LABEL)), Link.CLOUD_RUN).status is Status.GAP


def test_what_a_sidecar_has_does_not_count() -> None:
    both = Template(
        containers=(container(FROM_SECRET, name="otel", ingress=False), container(LABEL)), account=ACCOUNT
    )  # fmt: skip
    found = one(of(service(template=both)), "cloud-run-dsn-env")
    assert found.status is Status.GAP
    assert "the sidecar otel has it, the container api that requests reach does not" in found.message
    assert "--container=api" in (found.remedy.summary if found.remedy else "")
    right = Template(containers=(container(name="otel", ingress=False), container(FROM_SECRET, LABEL)), account=ACCOUNT)
    assert one(of(service(template=right)), "cloud-run-dsn-env").status is Status.PASS


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        (Variable(name="SENTRY_DSN", is_set=False), "is set to nothing"),
        (Variable(name="SENTRY_DSN", value="none"), "no DSN"),
        (Variable(name="SENTRY_DSN", dsn=replace(GOOD, valid=False, problem="it is quoted")), "it is quoted"),
        (Variable(name="SENTRY_DSN_URL", dsn=GOOD), "SENTRY_DSN_URL, which the code does not read"),
    ],
)
def test_a_value_that_is_no_dsn_is_a_gap(variable: Variable, words: str) -> None:
    found = one(of(service(variable, LABEL)), "cloud-run-dsn-env")
    assert found.status is Status.GAP
    assert words in found.message


def test_the_variable_that_the_code_reads_is_the_one() -> None:
    argument = DsnArgument(resolves=True, variables=("APP_DSN", "SENTRY_DSN"))
    seen = of(service(replace(FROM_SECRET, name="APP_DSN"), LABEL))
    assert one(seen, "cloud-run-dsn-env", facts=[argument]).status is Status.PASS
    assert one(seen, "cloud-run-dsn-env").status is Status.GAP
    told = replace(seen, targets=(target(variables=("APP_DSN", "SENTRY_ENVIRONMENT")),))
    assert one(told, "cloud-run-dsn-env", facts=[]).status is Status.PASS


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([DsnArgument(resolves=True, source="a literal")], Status.SKIPPED),
        ([DsnArgument(resolves=True, variables=("SENTRY_DSN",), literal=True)], Status.PASS),
        ([DsnArgument(unknown="a secret store", secret="sentry-dsn-staging")], Status.SKIPPED),
        ([DsnArgument(unknown="the DSN could not be followed: f()")], Status.UNKNOWN),
        ([DsnArgument(resolves=True, variables=("SENTRY_DSN",), also="read() may give it")], Status.UNKNOWN),
        (
            [
                DsnArgument(resolves=True, variables=("SENTRY_DSN",)),
                DeployedDsn(declared=True, source="SENTRY_DSN in Dockerfile", evidence=(Evidence("Dockerfile", saw="ENV SENTRY_DSN"),)),
            ],
            Status.PASS,
        ),
    ],
)  # fmt: skip
def test_without_the_variable_something_else_may_give_the_dsn(facts: list[Any], status: Status) -> None:
    assert one(of(service(LABEL)), "cloud-run-dsn-env", facts=facts).status is status


def test_the_secret_that_the_code_itself_reads_is_judged() -> None:
    facts = [DsnArgument(unknown="read from a secret store", secret="sentry-dsn-staging")]
    assert one(of(service(LABEL)), "secret-dsn-exists", facts=facts).status is Status.PASS
    assert one(of(service(LABEL)), "secret-dsn-readable", facts=facts).status is Status.PASS
    assert link(of(service(LABEL)), Link.CLOUD_RUN, facts=facts).status is Status.PASS


def test_a_secret_that_is_mounted_is_unknown() -> None:
    mounted = container(LABEL, mounts=(Mount(path="/secrets/sentry", secret="sentry-dsn-staging"),))
    found = one(of(service(template=Template(containers=(mounted,), account=ACCOUNT))), "cloud-run-dsn-env")
    assert found.status is Status.UNKNOWN
    assert "/secrets/sentry" in found.message
    other = container(LABEL, mounts=(Mount(path="/secrets/db", secret="database"),))
    seen = of(service(template=Template(containers=(other,), account=ACCOUNT)))
    assert one(seen, "cloud-run-dsn-env").status is Status.GAP


@pytest.mark.parametrize("sort", ["job", "worker-pool"])
def test_in_jobs_and_worker_pools_each_container_counts(sort: str) -> None:
    one_lacks = Template(containers=(container(FROM_SECRET, LABEL), container(LABEL, name="export")), account=ACCOUNT)
    targets = (target(sort=sort),)
    seen = snapshot(project(services=(service(template=one_lacks, sort=sort, serving=()),)), targets=targets)
    found = one(seen, "cloud-run-dsn-env")
    assert found.status is Status.GAP
    assert "--container=export" in (found.remedy.summary if found.remedy else "")
    right = snapshot(project(services=(service(sort=sort, serving=()),)), targets=targets)
    assert one(right, "cloud-run-dsn-env").status is Status.PASS
    assert one(right, "cloud-run-serving-revision").status is Status.SKIPPED
    assert link(right, Link.CLOUD_RUN).status is Status.PASS


def test_a_service_whose_containers_were_not_told_is_unknown() -> None:
    assert one(of(service(template=Template())), "cloud-run-dsn-env").status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (service(name="shop-api-stagin"), "did you mean shop-api-stagin?"),
        (service(region="us-central1"), "it is in us-central1"),
        (service(sort="job"), "is a job in europe-west1"),
        (service(name="x"), "there are x"),
    ],
)
def test_a_service_that_is_not_there_is_a_gap(there: Any, words: str) -> None:
    found = one(of(there), "cloud-run-dsn-env")
    assert found.status is Status.GAP
    assert "there is no service shop-api-staging in shop (europe-west1)" in found.message
    assert words in found.message
    for check in ("cloud-run-serving-revision", "deploy-drift", "secret-dsn-readable", "cloud-run-egress"):
        assert one(of(there), check).status is Status.SKIPPED


def test_the_secret_is_judged_though_the_service_is_not_there() -> None:
    seen = snapshot(project(services=(), secrets=(secret(exists=False),)))
    assert one(seen, "secret-dsn-exists").status is Status.GAP


@pytest.mark.parametrize(
    "seen",
    [
        of(unlisted=(UNREACHABLE,)),
        of(regions=()),
        snapshot(project(services=()), targets=(target(regions=("europe-west1", "us-central1")),)),
    ],
)
def test_a_service_that_may_be_where_nobody_could_look_is_unknown(seen: Snapshot) -> None:
    for check in ("cloud-run-dsn-env", "cloud-run-serving-revision", "deploy-drift", "secret-dsn-exists"):
        assert one(seen, check).status is Status.UNKNOWN


def test_a_region_that_the_target_is_not_in_does_not_matter() -> None:
    elsewhere = replace(UNREACHABLE, resource="projects/shop/locations/us-central1")
    assert one(of(unlisted=(elsewhere,)), "cloud-run-dsn-env").status is Status.GAP
    anywhere = replace(of(unlisted=(elsewhere,)), targets=(target(regions=()),))
    assert one(anywhere, "cloud-run-dsn-env").status is Status.UNKNOWN


def test_a_secret_that_is_named_by_its_project_s_number_is_the_same() -> None:
    numbered = replace(FROM_SECRET, secret_project="123456")
    seen = of(service(template=template(numbered, LABEL), serving=(serving(),)))
    assert one(seen, "secret-dsn-exists").status is Status.PASS
    assert one(seen, "cloud-run-serving-revision").status is Status.PASS
    assert one(of(service()), "secret-dsn-exists").message == one(seen, "secret-dsn-exists").message


def test_a_listing_that_failed_does_not_hide_what_was_found() -> None:
    assert one(of(service(), unlisted=(UNREACHABLE,)), "cloud-run-dsn-env").status is Status.PASS


# --- where the value comes from, and the label ----------------------------------------------------


def test_a_plain_value_is_a_gap_where_sentry_is_required() -> None:
    seen = of(service(PLAIN, LABEL))
    found = one(seen, "cloud-run-dsn-from-secret")
    assert found.status is Status.GAP
    assert "shop-api-staging has SENTRY_DSN as a plain value" in found.message
    assert found.remedy is not None
    assert "--remove-env-vars=SENTRY_DSN --update-secrets=SENTRY_DSN=sentry-dsn-staging:latest" in found.remedy.summary
    assert one(seen, "cloud-run-dsn-env").status is Status.PASS
    assert one(of(service(LABEL)), "cloud-run-dsn-from-secret").status is Status.SKIPPED
    hidden = of(unlisted=(DENIED,))
    assert one(hidden, "cloud-run-dsn-from-secret").status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("variables", "status", "words"),
    [
        ((FROM_SECRET,), Status.GAP, "events of staging are labelled production"),
        ((FROM_SECRET, replace(LABEL, value="", is_set=False)), Status.GAP, "no SENTRY_ENVIRONMENT"),
        ((FROM_SECRET, replace(LABEL, value="production")), Status.GAP, "is 'production'"),
        ((FROM_SECRET, replace(LABEL, value="prod-eu")), Status.GAP, "'prod-eu'"),
        ((FROM_SECRET, replace(LABEL, value="stage")), Status.PASS, ""),
        ((FROM_SECRET, replace(LABEL, value="blue")), Status.PASS, ""),
        ((FROM_SECRET, replace(LABEL, value="", secret="env-name")), Status.UNKNOWN, "it is a secret"),
        ((FROM_SECRET, replace(LABEL, value="")), Status.UNKNOWN, "was not read"),
    ],
)
def test_the_label_is_this_environment_s(variables: tuple[Variable, ...], status: Status, words: str) -> None:
    found = one(of(service(*variables)), "cloud-run-environment-env")
    assert found.status is status
    assert words in found.message


def test_the_code_may_label_events_itself() -> None:
    for source in ("the code", "the image"):
        facts = [*CODE, DeployedEnvironment(declared=True, source=source)]
        assert one(of(service(FROM_SECRET)), "cloud-run-environment-env", facts=facts).status is Status.PASS
    alone = replace(of(service(FROM_SECRET)), targets=(target(variables=("SENTRY_DSN",)),))
    assert one(alone, "cloud-run-environment-env").status is Status.PASS


def test_the_label_s_own_variable_is_the_one() -> None:
    seen = replace(
        of(service(FROM_SECRET, Variable(name="APP_ENV", value="staging"))),
        targets=(target(variables=("SENTRY_DSN", "APP_ENV")),),
    )
    assert one(seen, "cloud-run-environment-env").status is Status.PASS
    lacking = replace(of(service()), targets=seen.targets)
    assert "APP_ENV" in one(lacking, "cloud-run-environment-env").message


# --- what serves ----------------------------------------------------------------------------------


def test_traffic_that_is_pinned_to_a_revision_without_the_variable_is_a_gap() -> None:
    old = serving(revision="shop-api-staging-00041", pinned=True, template=template(LABEL))
    seen = of(service(serving=(old,)))
    found = one(seen, "cloud-run-serving-revision")
    assert found.status is Status.GAP
    assert "100% of the traffic of shop-api-staging goes to shop-api-staging-00041" in found.message
    assert "pinned" in found.message
    assert found.remedy is not None
    assert (
        "gcloud run services update-traffic shop-api-staging --project=shop --region=europe-west1 --to-latest"
        in found.remedy.summary
    )
    assert link(seen, Link.CLOUD_RUN).status is Status.GAP
    assert one(seen, "cloud-run-dsn-env").status is Status.PASS  # the template has it


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (template(replace(FROM_SECRET, secret="sentry-dsn-old"), LABEL), "sentry-dsn-old:latest"),
        (template(replace(FROM_SECRET, version="1"), LABEL), "sentry-dsn-staging:1"),
        (template(replace(PLAIN, dsn=OTHER), LABEL), OTHER.shown),
        (Template(), "has no SENTRY_DSN"),
    ],
)
def test_a_part_of_the_traffic_is_a_gap_too(shape: Template, words: str) -> None:
    old = serving(revision="shop-api-staging-00040", percent=10, template=shape)
    found = one(of(service(serving=(serving(percent=90), old))), "cloud-run-serving-revision")
    assert found.status is Status.GAP
    assert "10%" in found.message
    assert words in found.message


def test_plain_values_are_compared_by_fingerprint() -> None:
    old = serving(template=template(replace(PLAIN, dsn=OTHER), LABEL))
    assert one(of(service(PLAIN, LABEL, serving=(old,))), "cloud-run-serving-revision").status is Status.GAP
    assert one(of(service(PLAIN, LABEL)), "cloud-run-serving-revision").status is Status.PASS
    once = serving(template=template(PLAIN, LABEL))  # what the secret holds now, as it was written before
    assert one(of(service(serving=(once,))), "cloud-run-serving-revision").status is Status.PASS
    unread = holding(secret(version(dsn=None)), services=(service(serving=(once,)),))
    assert one(unread, "cloud-run-serving-revision").status is Status.GAP


def test_a_tagged_revision_is_a_gap_of_its_own() -> None:
    tagged = serving(revision="shop-api-staging-00017", percent=0, tag="old", template=template(LABEL))
    seen = of(service(serving=(serving(), tagged)))
    assert one(seen, "cloud-run-serving-revision").status is Status.PASS
    found = one(seen, "cloud-run-tagged-revision")
    assert found.status is Status.GAP
    assert "the tag old of shop-api-staging leads to shop-api-staging-00017" in found.message
    assert "--remove-tags=old" in (found.remedy.summary if found.remedy else "")
    right = of(service(serving=(serving(), serving(percent=0, tag="new"))))
    assert one(right, "cloud-run-tagged-revision").status is Status.PASS
    unread = of(service(serving=(serving(), serving(percent=0, tag="x", template=None, failure=DENIED))))
    assert one(unread, "cloud-run-serving-revision").status is Status.PASS


def test_a_newest_revision_that_did_not_come_up_is_a_gap() -> None:
    seen = of(service(latest_created="shop-api-staging-00043", not_ready="SECRETS_ACCESS_CHECK_FAILED"))
    found = one(seen, "cloud-run-serving-revision")
    assert found.status is Status.GAP
    assert "shop-api-staging-00043 did not come up (SECRETS_ACCESS_CHECK_FAILED)" in found.message
    assert "shop-api-staging-00042 still serves" in found.message


@pytest.mark.parametrize(
    "there",
    [
        service(reconciling=True),
        service(serving=None),
        service(serving=()),
        service(serving=(serving(template=None, failure=DENIED),)),
    ],
)
def test_what_serves_may_be_unknown(there: Any) -> None:
    assert one(of(there), "cloud-run-serving-revision").status is Status.UNKNOWN
    assert link(of(there), Link.CLOUD_RUN).status is Status.UNKNOWN


# --- CPU, network ---------------------------------------------------------------------------------

IDLE = replace(RIGHT, containers=(container(FROM_SECRET, LABEL, cpu_idle=True),))


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([Shutdown(server="uvicorn", flushes=True)], Status.PASS),
        ([Shutdown(server="uvicorn", flushes=False, problem="nothing flushes")], Status.GAP),
        ([Shutdown(server="uvicorn", flushes=False, problem="?", elsewhere="api/main.py:9")], Status.UNKNOWN),
        ([Shutdown(server="waitress", unknown="waitress was not measured")], Status.UNKNOWN),
        ([], Status.UNKNOWN),
    ],
)
def test_a_cpu_that_is_taken_away_needs_a_flush(facts: list[Any], status: Status) -> None:
    assert one(of(service(template=IDLE)), "cloud-run-cpu-throttled", facts=facts).status is status
    assert one(of(service()), "cloud-run-cpu-throttled", facts=facts).status is Status.PASS


def test_jobs_are_not_throttled() -> None:
    seen = snapshot(project(services=(service(sort="job", template=IDLE),)), targets=(target(sort="job"),))
    assert one(seen, "cloud-run-cpu-throttled", facts=[]).status is Status.PASS


def test_all_traffic_through_a_vpc_is_unknown_with_what_to_look_at() -> None:
    seen = of(service(template=replace(RIGHT, egress="ALL_TRAFFIC", network="default")))
    found = one(seen, "cloud-run-egress")
    assert found.status is Status.UNKNOWN
    assert "goes through default" in found.message
    assert GOOD.host in found.message
    assert found.hint.startswith("gcloud compute routers list --project=shop")


@pytest.mark.parametrize(
    ("egress", "host", "status"),
    [
        ("PRIVATE_RANGES_ONLY", GOOD.host, Status.PASS),
        ("PRIVATE_RANGES_ONLY", "sentry.internal", Status.UNKNOWN),
        ("", "sentry.internal", Status.GAP),
        ("", "10.0.0.7", Status.GAP),
    ],
)
def test_a_sentry_in_a_private_network_needs_one(egress: str, host: str, status: Status) -> None:
    held = secret(version(dsn=replace(GOOD, host=host)))
    seen = snapshot(project(services=(service(template=replace(RIGHT, egress=egress)),), secrets=(held,)))
    assert one(seen, "cloud-run-egress").status is status


# --- drift ----------------------------------------------------------------------------------------

DEPLOYS = "gcloud run deploy shop-api-staging "


@pytest.mark.parametrize(
    ("deploy", "words"),
    [
        ("--set-secrets=DB=db:1 --set-env-vars=SENTRY_ENVIRONMENT=staging", "the next deploy drops it"),
        ("--remove-secrets=SENTRY_DSN --update-env-vars=SENTRY_ENVIRONMENT=staging", "the next deploy drops it"),
        ("--update-secrets=SENTRY_DSN=sentry-dsn:latest", "from the secret sentry-dsn:latest"),
        ("--update-secrets=SENTRY_DSN=sentry-dsn-staging:3", "from the secret sentry-dsn-staging:3"),
        ("--update-env-vars=SENTRY_ENVIRONMENT=production", "gives it SENTRY_ENVIRONMENT=production"),
        (
            "--update-env-vars=SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/4",
            "as a plain value",
        ),
    ],
)
def test_what_the_next_deploy_changes_is_a_gap(deploy: str, words: str) -> None:
    found = one(snapshot(), "deploy-drift", deploy=DEPLOYS + deploy)
    assert found.status is Status.GAP
    assert words in found.message
    assert "(deployed last with gcloud)" in found.message
    assert "deploy.sh:1" in found.message
    assert {item.path for item in found.evidence} == {None, "deploy.sh"}


def test_what_was_not_deployed_yet_is_a_gap() -> None:
    found = one(of(service(LABEL)), "deploy-drift")
    assert found.status is Status.GAP
    assert "the next deploy brings it" in found.message


@pytest.mark.parametrize(
    "deploy",
    [
        "--image=x",
        "--update-secrets=SENTRY_DSN=sentry-dsn-staging:latest",
        "--update-secrets=SENTRY_DSN=projects/shop/secrets/sentry-dsn-staging:latest",
        "--set-secrets=SENTRY_DSN=sentry-dsn-staging:latest --set-env-vars=SENTRY_ENVIRONMENT=staging",
    ],
)
def test_what_the_next_deploy_keeps_is_no_drift(deploy: str) -> None:
    assert one(snapshot(), "deploy-drift", deploy=DEPLOYS + deploy).status is Status.PASS


@pytest.mark.parametrize("deploy", ["--set-secrets=$SECRETS", "--update-secrets=SENTRY_DSN=$NAME:latest"])
def test_a_definition_that_was_not_followed_is_unknown(deploy: str) -> None:
    assert one(snapshot(), "deploy-drift", deploy=DEPLOYS + deploy).status is Status.UNKNOWN


def test_code_that_needs_no_variable_cannot_drift() -> None:
    facts = [DsnArgument(resolves=True, source="a literal")]
    seen = replace(snapshot(), targets=(target(variables=()),))
    found = one(seen, "deploy-drift", facts=facts)
    assert found.status is Status.SKIPPED
    assert "needs no variable of Sentry's" in found.message


def test_without_a_definition_there_is_nothing_to_compare() -> None:
    found = one(snapshot(), "deploy-drift", deploy="")
    assert found.status is Status.SKIPPED
    assert "no definition in the repository deploys shop-api-staging" in found.message


# --- environments ---------------------------------------------------------------------------------

LIVE_LABEL = replace(LABEL, value="production")


def two(staging: Any, production: Any, *secrets: Any, **fields: Any) -> Snapshot:
    """Staging and production in one project."""
    return snapshot(
        project(services=(staging, replace(production, name="shop-api")), secrets=secrets or (secret(),), **fields),
        targets=(target(), target(environment="production", service="shop-api")),
    )


def secret_of(name: str) -> Variable:
    return replace(FROM_SECRET, secret=name)


PRODUCTION = secret(version(dsn=OTHER), name="sentry-dsn-production")


def test_two_projects_are_told_apart() -> None:
    seen = two(service(), service(secret_of("sentry-dsn-production"), LIVE_LABEL), secret(), PRODUCTION)
    assert one(seen, "dsn-distinct-environments").status is Status.PASS


def test_one_project_needs_labels() -> None:
    same = replace(PRODUCTION, versions=(version(dsn=replace(OTHER, project="451")),))
    live = service(secret_of("sentry-dsn-production"), LIVE_LABEL)
    assert one(two(service(), live, secret(), same), "dsn-distinct-environments").status is Status.PASS
    unlabelled = two(service(FROM_SECRET), live, secret(), same)
    found = one(unlabelled, "dsn-distinct-environments")
    assert found.status is Status.GAP
    assert "shop-api-staging (staging) and shop-api (production)" in found.message
    untold = two(service(FROM_SECRET, replace(LABEL, value="", secret="env")), live, secret(), same)
    assert one(untold, "dsn-distinct-environments").status is Status.UNKNOWN


def test_a_staging_service_that_uses_production_s_secret_is_a_gap() -> None:
    wrong = service(secret_of("sentry-dsn-production"), LABEL)
    alone = snapshot(project(services=(wrong,), secrets=(PRODUCTION,), names=("sentry-dsn-staging",)))
    found = one(alone, "dsn-distinct-environments")
    assert found.status is Status.GAP
    assert "shop-api-staging of staging takes SENTRY_DSN from sentry-dsn-production" in found.message
    assert "sentry-dsn-staging is there" in found.message
    both = two(wrong, service(secret_of("sentry-dsn-production"), LIVE_LABEL), PRODUCTION)
    found = one(both, "dsn-distinct-environments")
    assert found.status is Status.GAP
    assert "production's by its name" in found.message


def test_one_dsn_in_secrets_of_both_environments_is_a_gap() -> None:
    copied = secret(version(dsn=GOOD), name="sentry-dsn-production")
    seen = two(service(), service(secret_of("sentry-dsn-production"), LIVE_LABEL), secret(), copied)
    found = one(seen, "dsn-distinct-environments")
    assert found.status is Status.GAP
    assert "sentry-dsn-staging and sentry-dsn-production hold the same" in found.message


def test_one_secret_for_both_is_fine_with_labels_and_a_gap_without() -> None:
    shared = secret(name="sentry-dsn")
    live = service(secret_of("sentry-dsn"), LIVE_LABEL)
    assert (
        one(two(service(secret_of("sentry-dsn"), LABEL), live, shared), "dsn-distinct-environments").status
        is Status.PASS
    )
    found = one(two(service(secret_of("sentry-dsn")), live, shared), "dsn-distinct-environments")
    assert found.status is Status.GAP
    assert "from the secret sentry-dsn" in found.message


def test_versions_of_one_secret_may_hold_different_dsns() -> None:
    shared = secret(version(), version(asked="1", number="1", dsn=OTHER), name="sentry-dsn")
    live = service(replace(secret_of("sentry-dsn"), version="1"), LIVE_LABEL)
    assert one(two(service(secret_of("sentry-dsn")), live, shared), "dsn-distinct-environments").status is Status.PASS


def test_the_code_may_label_each_environment_itself() -> None:
    seen = two(service(secret_of("sentry-dsn")), service(secret_of("sentry-dsn")), secret(name="sentry-dsn"))
    targets = tuple(replace(item, variables=("SENTRY_DSN",)) for item in seen.targets)
    assert one(replace(seen, targets=targets), "dsn-distinct-environments").status is Status.PASS
    given = [*CODE, SdkInit(options=("environment",))]  # what it is without the variable was not followed
    assert one(seen, "dsn-distinct-environments", facts=given).status is Status.UNKNOWN


def test_each_service_of_a_component_is_compared() -> None:
    shared = secret(name="sentry-dsn")
    seen = two(service(), service(secret_of("sentry-dsn")), secret(version(dsn=OTHER)), shared)
    admin = service(secret_of("sentry-dsn"), name="shop-admin-staging")
    [there] = seen.projects
    both = replace(
        seen,
        projects=(replace(there, services=(*there.services, admin)),),
        targets=(*seen.targets, target(service="shop-admin-staging")),
    )
    assert one(seen, "dsn-distinct-environments").status is Status.PASS
    assert "shop-admin-staging" in one(both, "dsn-distinct-environments").message


def test_an_environment_that_could_not_be_read_does_not_count() -> None:
    blind = Project(id="prod", unlisted=(DENIED,))
    seen = snapshot(project(), blind, targets=(target(), target(environment="production", project="prod")))
    assert one(seen, "dsn-distinct-environments").status is Status.SKIPPED
    unread = secret(version(dsn=None, unread=DENIED), name="sentry-dsn-production")
    half = two(service(), service(secret_of("sentry-dsn-production"), LIVE_LABEL), secret(), unread)
    assert one(half, "dsn-distinct-environments").status is Status.SKIPPED


# --- front ends -----------------------------------------------------------------------------------


def front(*facts: Any, **fields: Any) -> dict[str, Any]:
    """What ``one`` is given for a front end."""
    return {"facts": list(facts), "component": WEB, "deploy": "", **fields}


COMPILED = FrontendVariable(name="NEXT_PUBLIC_SENTRY_DSN", provided=True, given=True)


@pytest.mark.parametrize("failure", [None, DENIED])
@pytest.mark.parametrize("targets", [(), (target(component="web", service="shop-web-staging"),)])
def test_a_dsn_that_is_compiled_in_needs_nothing_of_the_service(failure: Any, targets: Any) -> None:
    web = service(Variable(name="PORT", value="8080"), name="shop-web-staging")
    seen = snapshot(project(services=(web,)), targets=targets, failure=failure)
    for check in LIVE:
        found = one(seen, check, **front(COMPILED))
        assert found.status is Status.SKIPPED
        assert "NEXT_PUBLIC_SENTRY_DSN is compiled in when web is built" in found.message
    for which in (Link.SECRET, Link.CLOUD_RUN):
        proven = link(seen, which, **front(COMPILED))
        assert proven.status is Status.PASS
        assert proven.message == "nothing is needed: NEXT_PUBLIC_SENTRY_DSN is compiled in when web is built"


def test_a_secret_that_the_build_takes_the_dsn_from_is_judged() -> None:
    from sentry_audit.cloud import SecretReference

    there = target(component="web", secrets=(SecretReference(name="sentry-dsn-staging"),))
    assert one(snapshot(targets=(there,)), "secret-dsn-exists", **front(COMPILED)).status is Status.PASS
    gone = snapshot(project(secrets=(secret(exists=False),)), targets=(there,))
    assert one(gone, "secret-dsn-exists", **front(COMPILED)).status is Status.GAP
    assert one(gone, "cloud-run-dsn-env", **front(COMPILED)).status is Status.SKIPPED


def test_a_dsn_that_the_server_hands_out_needs_its_variable() -> None:
    late = FrontendVariable(name="NUXT_PUBLIC_SENTRY_DSN", at_run_time=True)
    web = target(component="web", service="shop-api-staging")
    found = one(snapshot(targets=(web,)), "cloud-run-dsn-env", **front(late))
    assert found.status is Status.GAP
    assert "NUXT_PUBLIC_SENTRY_DSN" in found.message
    assert found.area == "cloud-run"


def test_every_container_has_a_name_in_words() -> None:
    bare = Template(containers=(Container(ingress=False, variables=(FROM_SECRET,)), Container()), account=ACCOUNT)
    assert "the sidecar without a name" in one(of(service(template=bare)), "cloud-run-dsn-env").message


def test_a_flush_that_is_not_on_shutdown_is_said_so(tmp_path: Path) -> None:
    code = (
        "import sentry_sdk\nfrom fastapi import FastAPI\nsentry_sdk.init()\napp = FastAPI()\n"
        "@app.middleware('http')\nasync def flushing(request, call_next):\n"
        "    try:\n        return await call_next(request)\n    except Exception:\n        sentry_sdk.flush(timeout=2)\n        raise\n"
    )
    write(tmp_path, {"requirements.txt": SDK, "main.py": code, "Dockerfile": IMAGE})
    tree, settings = auditing.open_tree(app.Request(root=tmp_path))
    collected, deriver = auditing.collect(tree, settings, app.Request(root=tmp_path))
    facts, _ = deriver.derive(collected.services, "staging")
    [shutdown] = [fact for fact in facts if isinstance(fact, Shutdown)]
    assert (shutdown.flushes, shutdown.elsewhere) == (False, "main.py:10")
