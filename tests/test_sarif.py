"""SARIF: valid by the published schema, and saying of each finding what code scanning can show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from sentry_audit.fingerprints import fingerprint
from sentry_audit.fixing import Closed, FileChange, Step
from sentry_audit.model import (
    ChainLink,
    Confidence,
    Evidence,
    Finding,
    Link,
    Problem,
    Remedy,
    Report,
    Rule,
    Severity,
    Status,
    Waiver,
)
from sentry_audit.reporters._sarif_fixes import replacements
from sentry_audit.reporters.base import RenderOptions
from sentry_audit.reporters.sarif import REPORTER
from tests.test_cli import run
from tests.test_reporters import DSN, KEY, component, finding, report, rich_report, secret_report

if TYPE_CHECKING:
    from collections.abc import Sequence

VALIDATOR = Draft4Validator(json.loads((Path(__file__).parent / "data/sarif-schema-2.1.0.json").read_text("utf-8")))
FULL = RenderOptions(
    prefix="examples/shop",
    checkout="file:///home/u/shop/",
    directory="file:///home/u/",
    now="2026-01-31T12:00:00",
)
WAIVER = Waiver(reason="moves next month", until="2026-03-01", owner="ann", place=Evidence("sentry-audit.yaml", 4))
HERE = Evidence("api/main.py", 12, 5, saw="init(dsn=None)")


def log(*reports: Report, options: RenderOptions = FULL) -> Any:
    return json.loads(REPORTER.render(reports, options))


def results(*findings: Finding, options: RenderOptions = FULL, **changes: Any) -> list[Any]:
    found: list[Any] = log(report(*findings, **changes), options=options)["runs"][0]["results"]
    return found


def fixing(*files: FileChange, check: str = "backend-x") -> Step:
    return Step(summary="will set it", safety="safe", closes=(Closed(check, "api"),), files=files)


# --- the log ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [FULL, RenderOptions()])
@pytest.mark.parametrize(
    "reports",
    [
        (),
        (report(components=()),),
        (rich_report(),),
        (secret_report(),),
        (rich_report(), report(finding(), environment="production")),
        (report(finding(waiver=WAIVER), finding("w", Status.WAIVED, waiver=WAIVER, evidence=(HERE, HERE))),),
    ],
)
def test_every_log_follows_the_published_schema(reports: Sequence[Report], options: RenderOptions) -> None:
    VALIDATOR.validate(log(*reports, options=options))


def test_the_schema_can_fail() -> None:
    broken = log(rich_report())
    broken["runs"][0]["results"][0]["level"] = "high"
    assert not VALIDATOR.is_valid(broken)


def test_the_log_of_the_example_follows_the_published_schema_with_its_fixes(tmp_path: Path) -> None:
    file = tmp_path / "r.sarif"
    done = run("check", "examples/shop", "--env", "staging", "--offline", "--with-fixes", "--format", f"sarif={file}")
    assert (done.returncode, done.stdout) == (1, "")
    found = json.loads(file.read_text("utf-8"))
    VALIDATOR.validate(found)
    [audited] = found["runs"]
    assert len(audited["results"]) == 30
    offered = [item for item in audited["results"] if "fixes" in item]
    assert len(offered) > 9
    root = Path(__file__).parent.parent
    for item in offered:
        for change in item["fixes"][0]["artifactChanges"]:
            old = root / change["artifactLocation"]["uri"]
            for one in change["replacements"]:
                assert one["deletedRegion"]["endLine"] <= len((old.read_text() if old.exists() else "").split("\n"))


def test_each_environment_is_a_run_and_a_category_of_its_own() -> None:
    runs = log(report(), report(environment="eu/prod"))["runs"]
    assert [item["automationDetails"]["id"] for item in runs] == ["sentry-audit/staging/", "sentry-audit/eu%2Fprod/"]


def test_the_run_says_how_it_ended_and_where() -> None:
    [invocation] = log(report(exit_code=1))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["exitCode"] == 1
    assert invocation["workingDirectory"] == {"uri": "file:///home/u/"}
    assert invocation["endTimeUtc"] == "2026-01-31T12:00:00Z"
    assert log(report())["runs"][0]["originalUriBaseIds"] == {"%SRCROOT%": {"uri": "file:///home/u/shop/"}}


@pytest.mark.parametrize(("status", "code"), [(Status.ERROR, 4), (Status.UNKNOWN, 3)])
def test_a_crash_and_an_audit_of_nothing_are_no_success(status: Status, code: int) -> None:
    [invocation] = log(report(finding(status=status), exit_code=code))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False


def test_what_is_not_known_is_a_notification_and_no_result() -> None:
    unknown = finding("cloud-a", Status.UNKNOWN, hint="grant x\ngcloud y", evidence=(HERE,))
    problem = Problem("toml", frozenset({"env_var"}), "bad key", "mend it", Evidence("pyproject.toml", 7))
    [audited] = log(report(unknown, finding("b", Status.ERROR, message="boom"), problems=(problem,)))["runs"]
    assert audited["results"] == []
    told = audited["invocations"][0]["toolExecutionNotifications"]
    assert [item["level"] for item in told] == ["error", "warning", "warning"]
    assert told[1]["message"]["text"] == "cloud-a of api: message of cloud-a\nHint: grant x\nHint: gcloud y"
    assert told[1]["associatedRule"] == {"id": "cloud-a", "index": 1}
    assert told[2]["message"]["text"] == "toml: bad key\nHint: mend it"
    assert told[2]["locations"][0]["physicalLocation"]["region"] == {"startLine": 7}


def test_passed_and_skipped_checks_are_rules_without_results() -> None:
    [audited] = log(report(finding("a", Status.PASS), finding("b", Status.SKIPPED)))["runs"]
    assert audited["results"] == []
    assert [rule["id"] for rule in audited["tool"]["driver"]["rules"]] == ["a", "b"]


# --- rules --------------------------------------------------------------------------------------


def test_a_rule_says_why_what_closes_it_and_what_must_be_granted() -> None:
    known = Rule(
        id="secret-dsn-readable", title="The service can read it", why="It fails to start.\n", area="secret", severity=Severity.HIGH,
        remedy="Grant the role", refs=("https://docs.sentry.io/x/",), permissions=("secretmanager.versions.access",),
    )  # fmt: skip
    unsure = finding("secret-dsn-readable", confidence=Confidence.MEDIUM)
    [rule] = log(report(unsure, rules=(known,)))["runs"][0]["tool"]["driver"]["rules"]
    assert rule["name"] == "SecretDsnReadable"
    assert rule["shortDescription"] == {"text": "The service can read it."}
    assert rule["fullDescription"] == {"text": "It fails to start."}
    assert rule["helpUri"] == "https://docs.sentry.io/x/"
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert rule["properties"] == {
        "tags": ["sentry", "observability", "secret"],
        "precision": "medium",
        "problem.severity": "error",
    }
    for text in rule["help"].values():
        assert "It fails to start." in text
        assert "Grant the role" in text
        assert "secretmanager.versions.access" in text
        assert "sentry-audit fix --only secret-dsn-readable" in text


def test_results_point_at_their_rules() -> None:
    [audited] = log(rich_report())["runs"]
    rules = audited["tool"]["driver"]["rules"]
    assert audited["results"]
    assert all(rules[item["ruleIndex"]]["id"] == item["ruleId"] for item in audited["results"])


# --- results ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "level"), [(Severity.HIGH, "error"), (Severity.MEDIUM, "warning"), (Severity.LOW, "note")]
)
def test_the_level_is_the_severity(severity: Severity, level: str) -> None:
    assert results(finding(severity=severity))[0]["level"] == level


def test_the_first_place_is_the_location_and_the_others_are_related() -> None:
    [item] = results(finding(evidence=(HERE, Evidence("api/config.py", 3), Evidence("Dockerfile"))))
    assert item["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "examples/shop/api/main.py", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 12, "startColumn": 5},
            },
            "message": {"text": "init(dsn=None)"},
        }
    ]
    places = [place["physicalLocation"] for place in item["relatedLocations"]]
    assert [place.get("region") for place in places] == [{"startLine": 3}, None]
    assert [place["id"] for place in item["relatedLocations"]] == [1, 2]


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a b/ü.py", "a%20b/%C3%BC.py"),
        ("c:d?e#f%20.py", "c%3Ad%3Fe%23f%2520.py"),
        ("\udc80.py", "%80.py"),
        ("\ud800.py", "%EF%BF%BD.py"),
    ],
)
def test_a_path_is_encoded(path: str, address: str) -> None:
    [item] = results(finding(evidence=(Evidence(path),)), options=RenderOptions())
    assert item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == address


def test_a_resource_is_shown_at_the_file_that_deploys_it() -> None:
    chain = (
        ChainLink(Link.SDK, Status.PASS, "", (Evidence("api/requirements.txt", 3),)),
        ChainLink(Link.DEPLOY, Status.PASS, "", (Evidence("deploy.sh", 8),)),
    )
    about = finding(evidence=(Evidence(resource="projects/p/secrets/s", saw="disabled"),))
    [item] = results(about, components=(component("api", *chain),))
    [place] = item["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "examples/shop/deploy.sh"
    assert "stands for the component" in place["message"]["text"]
    assert place["logicalLocations"] == [
        {"fullyQualifiedName": "projects/p/secrets/s", "name": "s", "kind": "resource"}
    ]
    assert "Seen: projects/p/secrets/s disabled" in item["message"]["text"]


def test_what_was_seen_nowhere_is_shown_at_the_entry_point() -> None:
    [item] = results(finding(), options=RenderOptions())
    [place] = item["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "services/api/main.py", "uriBaseId": "%SRCROOT%"},
    }
    assert results(finding(component=""))[0]["locations"] == []


def test_the_message_says_what_to_do() -> None:
    remedy = Remedy("Pass the variable", "review", True, "sentry-audit fix --only backend-x")
    [item] = results(finding(remedy=remedy, evidence=(HERE,), hint="see there"))
    assert item["message"]["text"].splitlines() == [
        "api: message of backend-x",
        "Fix: Pass the variable (review)",
        "Run: sentry-audit fix --only backend-x",
        "Hint: see there",
    ]


def test_text_of_the_repository_is_no_link_into_the_log() -> None:
    [item] = results(finding(message="press [here](https://evil.example) or [0](0), not x[1]"))
    assert item["message"]["text"] == r"api: press \[here](https://evil.example) or \[0](0), not x[1]"


def test_the_fingerprint_is_that_of_the_json() -> None:
    one = finding(evidence=(HERE,))
    assert results(one)[0]["partialFingerprints"] == {"sentryAudit/v1": fingerprint(one)}


def test_a_waived_gap_is_suppressed_with_its_reason() -> None:
    [item] = results(finding(status=Status.WAIVED, waiver=WAIVER, evidence=(HERE,)))
    [told] = item["suppressions"]
    assert (told["kind"], told["status"]) == ("external", "accepted")
    assert told["justification"] == (
        "moves next month · until 2026-03-01 · owner ann · examples/shop/sentry-audit.yaml:4"
    )
    assert told["location"]["physicalLocation"]["region"] == {"startLine": 4}


def test_a_waiver_beside_the_code_is_in_the_source() -> None:
    beside = Waiver(reason="r", until="permanent", place=Evidence("api/main.py", 11))
    [item] = results(finding(status=Status.WAIVED, waiver=beside, evidence=(HERE,)))
    assert item["suppressions"][0]["kind"] == "inSource"


def test_an_expired_waiver_suppresses_nothing() -> None:
    [item] = results(finding(waiver=WAIVER))
    assert "suppressions" not in item
    assert "its waiver has expired: moves next month · until 2026-03-01" in item["message"]["text"]


# --- fixes --------------------------------------------------------------------------------------


def apply(before: str, edits: Sequence[Any]) -> str:
    """``before`` with replacements made as an editor makes them: all regions speak of the text as it was."""
    starts = [0]
    for line in before.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + column - 1

    for edit in reversed(edits):
        region = edit["deletedRegion"]
        first = offset(region["startLine"], region["startColumn"])
        last = offset(region["endLine"], region["endColumn"])
        before = before[:first] + edit["insertedContent"]["text"] + before[last:]
    return before


@given(st.text("ab\n\r\u2028\x0b", max_size=12), st.text("ab\n\r\u2028\x0b", max_size=12))
def test_replacements_make_the_one_text_of_the_other(before: str, after: str) -> None:
    assert apply(before, list(replacements(FileChange("a.py", before, after)))) == after


def test_a_new_file_is_one_insertion() -> None:
    [edit] = replacements(FileChange("new.py", None, "x = 1\n"))
    assert edit["insertedContent"] == {"text": "x = 1\n"}
    assert edit["deletedRegion"] == {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}


def test_a_planned_change_is_offered_with_the_finding_that_it_closes() -> None:
    step = fixing(FileChange("api/main.py", "a\nb\n", "a\nc\n"))
    first, other = results(finding(), finding("other"), options=RenderOptions(prefix="shop", fixes=(step,)))
    [fix] = first["fixes"]
    assert fix["description"] == {"text": "will set it (safe)"}
    [change] = fix["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "shop/api/main.py"
    assert [item["insertedContent"]["text"] for item in change["replacements"]] == ["c\n"]
    assert "fixes" not in other


@pytest.mark.parametrize(
    "steps",
    [
        (fixing(FileChange("a", "1\n", "2\n"), check="other"), fixing(FileChange("a", "2\n", "3\n"))),
        (fixing(FileChange("a", "1\n", None)),),
        (fixing(FileChange("a", "1\n", f"X={DSN}\n")),),
        (fixing(),),
    ],
    ids=["builds on another", "removes a file", "tells a secret", "is the cloud's"],
)
def test_a_change_that_does_not_stand_for_itself_is_not_offered(steps: tuple[Step, ...]) -> None:
    [item] = results(finding(), options=RenderOptions(fixes=steps))
    assert "fixes" not in item


def test_a_secret_elsewhere_in_the_file_stays_there() -> None:
    step = fixing(FileChange("a", f"X={DSN}\n\nY=1\n", f"X={DSN}\n\nY=2\n"))
    text = REPORTER.render([report(finding())], RenderOptions(fixes=(step,)))
    assert '"fixes"' in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "json"], "--with-fixes is for --format sarif"),
        (["--format", "sarif", "--all-envs"], "one environment at a time"),
    ],
)
def test_fixes_are_asked_for_with_sarif_and_one_environment(options: list[str], said: str) -> None:
    done = run("check", "examples/shop", "--offline", "--with-fixes", *options)
    assert done.returncode == 2
    assert said in done.stderr
