"""JUnit XML: valid by Ant's schema, counted right, and with words in it that XML can write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from msgspec.structs import replace

from sentry_audit.model import Evidence, Problem, Remedy, Report, Status, Waiver
from sentry_audit.reporters.base import RenderOptions
from sentry_audit.reporters.junit import REPORTER
from tests.test_cli import run
from tests.test_reporters import finding, report, rich_report, secret_report

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "data/junit.xsd")
OPTIONS = RenderOptions(prefix="shop", now="2026-01-31T12:00:00")
WAIVER = Waiver(reason="moves next month", until="2026-03-01", place=Evidence("sentry-audit.yaml", 4))


def document(*reports: Report, options: RenderOptions = OPTIONS) -> ET.Element:
    return ET.fromstring(REPORTER.render(reports, options))


def case(**changes: Any) -> ET.Element:
    found = document(report(finding(**changes))).find(".//testcase")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "reports",
    [(), (report(components=()),), (rich_report(),), (secret_report(),), (rich_report(), rich_report())],
)
def test_every_document_follows_the_schema(reports: Sequence[Report]) -> None:
    SCHEMA.validate(REPORTER.render(reports, OPTIONS))


def test_the_schema_can_fail() -> None:
    text = REPORTER.render([rich_report()], OPTIONS)
    assert not SCHEMA.is_valid(text.replace("<failure", "<defect").replace("</failure", "</defect"))


def test_the_document_of_the_example_follows_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "r.xml"
    done = run("check", "examples/shop", "--env", "staging", "--offline", "--format", f"junit={file}")
    assert (done.returncode, done.stdout) == (1, "")
    SCHEMA.validate(str(file))
    suites = ET.parse(file).getroot().findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["api", "worker", "web"]
    assert sum(int(suite.get("failures", "")) for suite in suites) == 30


def test_without_a_clock_there_is_no_time() -> None:
    suites = document(rich_report(), options=RenderOptions()).findall("testsuite")
    assert suites
    assert all("timestamp" not in suite.attrib for suite in suites)


def test_a_suite_is_a_component_in_an_environment() -> None:
    suites = document(rich_report(), replace(rich_report(), environment="production")).findall("testsuite")
    assert [(suite.get("package"), suite.get("name"), suite.get("id")) for suite in suites] == [
        ("sentry-audit.staging", "api", "0"),
        ("sentry-audit.staging", "worker", "1"),
        ("sentry-audit.production", "api", "2"),
        ("sentry-audit.production", "worker", "3"),
    ]


def test_the_counts_are_those_of_the_cases() -> None:
    for suite in document(rich_report()):
        cases = suite.findall("testcase")
        counted = {
            "tests": len(cases),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
            "skipped": len(suite.findall("testcase/skipped")),
        }
        assert {name: int(suite.get(name, "")) for name in counted} == counted
    assert [suite.get("errors") for suite in document(rich_report())] == ["2", "0"]


def test_a_gap_is_a_failure_of_its_severity_with_evidence_and_remedy() -> None:
    remedy = Remedy("Add it", "safe", True, "sentry-audit fix --only backend-x")
    found = case(evidence=(Evidence("api/r.txt", 3, saw="fastapi"),), remedy=remedy)
    assert (found.get("classname"), found.get("name")) == ("sentry-audit.staging.api", "backend-x")
    [failure] = found
    assert (failure.tag, failure.get("type"), failure.get("message")) == ("failure", "high", "message of backend-x")
    assert (failure.text or "").splitlines() == [
        "title of backend-x",
        "message of backend-x",
        "shop/api/r.txt:3  fastapi",
        "fix: Add it (safe)",
        "run: sentry-audit fix --only backend-x",
        "more: sentry-audit explain backend-x",
    ]


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.ERROR])
def test_what_was_not_decided_is_an_error(status: Status) -> None:
    [error] = case(status=status, hint="gcloud auth login")
    assert (error.tag, error.get("type")) == ("error", status.value)
    assert "hint: gcloud auth login" in (error.text or "")


def test_what_passed_has_nothing_in_it() -> None:
    assert len(case(status=Status.PASS)) == 0


def test_skipped_and_waived_say_why() -> None:
    assert case(status=Status.SKIPPED, message="not applicable")[0].get("message") == "not applicable"
    [waived] = case(status=Status.WAIVED, waiver=WAIVER)
    assert waived.tag == "skipped"
    assert waived.get("message") == "waived: moves next month · until 2026-03-01 · shop/sentry-audit.yaml:4"


def test_a_gap_with_an_expired_waiver_fails_and_says_so() -> None:
    [failure] = case(waiver=WAIVER)
    assert failure.tag == "failure"
    assert failure.get("message") == "message of backend-x (its waiver has expired)"
    assert "its waiver has expired: moves next month" in (failure.text or "")


def test_what_xml_cannot_write_is_replaced() -> None:
    hostile = "a\x00b\x1b[31m\ufffe\ud800]]><x attr='\"'>&amp;\u2028"
    [failure] = case(message=hostile, evidence=(Evidence(hostile, 1, saw=hostile),))
    assert failure.get("message") == "a\\x00b\\x1b[31m\ufffd\\ud800]]><x attr='\"'>&amp;\\u2028"


def test_what_could_not_be_read_is_on_the_error_stream() -> None:
    problem = Problem("toml", frozenset(), "bad key", "", Evidence("pyproject.toml", 7))
    found = document(report(finding(), problems=(problem, problem), notes=("kept",))).find("testsuite")
    assert found is not None
    assert found.findtext("system-err") == "shop/pyproject.toml:7: bad key"
    assert found.findtext("system-out") == "1 gap (1 high)\nnote: kept"
