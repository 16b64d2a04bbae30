"""Annotations of GitHub Actions: at the right line, the gravest first, and nothing that a repository says is a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from sentry_audit.model import ChainLink, Evidence, Link, Remedy, Report, Severity, Status, Waiver
from sentry_audit.reporters.base import RenderOptions
from sentry_audit.reporters.github import REPORTER
from tests.test_cli import run
from tests.test_reporters import component, finding, report, rich_report

if TYPE_CHECKING:
    from pathlib import Path

WAIVER = Waiver(reason="moves next month", until="2026-03-01", place=Evidence("sentry-audit.yaml", 4))
HERE = Evidence("api/main.py", 12, 5, saw="init(dsn=None)")


class Command(Struct):
    name: str
    properties: dict[str, str]
    message: str


def decoded(text: str, *, in_property: bool = False) -> str:
    more = {"%3A": ":", "%2C": ","} if in_property else {}
    for code, char in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
        text = text.replace(code, char)
    return text


def commands(text: str) -> list[Command]:
    """The commands in an output, as the runner reads them (actions/runner, ActionCommand.TryParseV2)."""
    found = []
    for line in text.splitlines():
        assert line.lstrip().startswith("::") or "##[" not in line
        if match := re.match(r"\s*::(\S+?)(?: (.*?))?::(.*)", line):
            pairs = [pair.split("=", 1) for pair in (match[2] or "").split(",") if pair]
            properties = {name: decoded(value, in_property=True) for name, value in pairs}
            found.append(Command(match[1], properties, decoded(match[3])))
    return found


def annotated(*reports: Report, **options: Any) -> list[Command]:
    found = commands(REPORTER.render(reports, RenderOptions(**options)))
    return [item for item in found if item.name not in {"group", "endgroup"}]


def test_a_gap_stands_at_its_line() -> None:
    remedy = Remedy("Pass 50%: a, b", "safe", True, "sentry-audit fix")
    [item] = annotated(report(finding(evidence=(HERE,), remedy=remedy)), prefix="examples/shop")
    assert item.name == "error"
    assert item.properties == {
        "file": "examples/shop/api/main.py",
        "line": "12",
        "col": "5",
        "title": "backend-x: title of backend-x",
    }
    assert item.message.splitlines() == [
        "api: message of backend-x",
        "examples/shop/api/main.py:12  init(dsn=None)",
        "fix: Pass 50%: a, b (safe)",
        "run: sentry-audit fix",
    ]


def test_the_escaping_is_that_of_the_toolkit() -> None:
    text = REPORTER.render([report(finding(title="a: b, 5%", message="c: d, 6%"))], RenderOptions())
    assert "title=backend-x%3A a%3A b%2C 5%25::api: c: d, 6%25" in text


def test_a_line_or_column_that_is_not_known_is_left_out() -> None:
    assert annotated(report(finding(evidence=(Evidence("r.txt", None, 3),))))[0].properties.keys() == {
        "file",
        "title",
    }
    assert annotated(report(finding(component="", evidence=())))[0].properties.keys() == {"title"}


def test_what_was_seen_in_no_file_stands_at_one_of_the_component() -> None:
    about = finding(evidence=(Evidence(resource="projects/p/secrets/s"),))
    chain = (ChainLink(Link.DEPLOY, Status.PASS, "", (Evidence("deploy.sh", 8),)),)
    [item] = annotated(report(about, components=(component("api", *chain),)))
    assert (item.properties["file"], item.properties["line"]) == ("deploy.sh", "8")
    assert "projects/p/secrets/s" in item.message


@pytest.mark.parametrize(
    ("severity", "kind"), [(Severity.HIGH, "error"), (Severity.MEDIUM, "warning"), (Severity.LOW, "notice")]
)
def test_the_kind_is_the_severity(severity: Severity, kind: str) -> None:
    assert [item.name for item in annotated(report(finding(severity=severity)))] == [kind]


@pytest.mark.parametrize(
    ("status", "severity", "kind"),
    [
        (Status.UNKNOWN, Severity.HIGH, "warning"),
        (Status.UNKNOWN, Severity.LOW, "notice"),
        (Status.ERROR, Severity.LOW, "warning"),
        (Status.WAIVED, Severity.HIGH, "notice"),
    ],
)
def test_what_is_no_gap_is_milder(status: Status, severity: Severity, kind: str) -> None:
    [item] = annotated(report(finding(status=status, severity=severity, waiver=WAIVER)))
    assert item.name == kind
    assert status.value in item.properties["title"]


def test_passed_and_skipped_checks_are_not_annotated() -> None:
    assert annotated(report(finding("a", Status.PASS), finding("b", Status.SKIPPED))) == []


def test_a_waived_gap_says_why_and_an_expired_waiver_is_an_error() -> None:
    [waived] = annotated(report(finding(status=Status.WAIVED, waiver=WAIVER)), prefix="shop")
    assert "waived: moves next month · until 2026-03-01 · shop/sentry-audit.yaml:4" in waived.message
    [expired] = annotated(report(finding(severity=Severity.LOW, waiver=WAIVER)))
    assert expired.name == "error"
    assert expired.properties["title"].endswith("(waiver expired)")
    assert "its waiver has expired: moves next month" in expired.message


def test_the_same_unknown_is_said_once() -> None:
    same = {"message": "not asked: --offline", "hint": "leave --offline out"}
    [item] = annotated(report(*(finding(check, Status.UNKNOWN, **same) for check in ("a", "b"))))
    assert item.properties == {"title": "unknown: a, b"}
    assert item.message == "api: not asked: --offline\nhint: leave --offline out"


def test_the_gravest_come_first_and_what_github_will_not_show_is_counted() -> None:
    many = [finding(f"m-{number}", severity=Severity.MEDIUM) for number in range(12)]
    found = annotated(report(*many, finding("low", severity=Severity.LOW), *(finding(f"h-{n}") for n in range(11))))
    assert found[0].name == "notice"
    assert found[0].message == "GitHub shows 10 of 11 errors, 10 of 12 warnings of a step; all of them are in its log"
    assert [item.name for item in found[1:]] == ["error"] * 11 + ["warning"] * 12 + ["notice"]


def test_what_is_unknown_and_high_comes_before_gaps_that_are_medium() -> None:
    medium = finding("m", severity=Severity.MEDIUM)
    assert [item.properties["title"] for item in annotated(report(medium, finding("u", Status.UNKNOWN)))] == [
        "unknown: u",
        "m: title of m",
    ]


def test_many_checks_with_one_reason_are_named_in_the_message() -> None:
    [item] = annotated(report(*(finding(f"u{number}", Status.UNKNOWN, message="no") for number in range(4))))
    assert item.properties == {"title": "unknown: 4 checks"}
    assert item.message == "api: no\nu0, u1, u2, u3"


def test_ten_of_a_kind_need_no_words() -> None:
    assert len(annotated(report(*(finding(f"h-{number}") for number in range(10))))) == 10


def test_the_summary_is_a_group_of_each_environment() -> None:
    text = REPORTER.render([report(finding()), report(environment="production", ready=True)], RenderOptions())
    groups = [item.message for item in commands(text) if item.name == "group"]
    assert groups[0] == "sentry-audit staging: ✗ NOT READY api cannot report errors"
    assert groups[1].startswith("sentry-audit production: ✓ READY")
    assert text.count("::endgroup::") == 2
    assert "= 1 gap (1 high)  exit 1\n" in text
    assert [item.properties["title"] for item in annotated(report(finding()), report())] == [
        "backend-x: title of backend-x (staging)"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "x\n::error::pwned",
        "::stop-commands::token",
        "\r\n::set-output name=a::b",
        "x%0A::error::pwned",
        "##[error]pwned",
        "a,line=1::b",
        "\u2028::error::pwned",
        "\x1b[2K\r::add-mask::x",
        "\x0b::error::pwned\x85::error::again",
    ],
)
def test_no_text_of_a_repository_is_a_command(text: str) -> None:
    seen = (Evidence(text, 1, 1, saw=text), Evidence(resource=text, saw=text))
    remedy = Remedy(text, text, True, text, text)
    waiver = Waiver(reason=text, until=text, owner=text, ticket=text, place=seen[0])

    def audited(words: str, evidence: tuple[Evidence, ...]) -> Report:
        return report(
            *(
                finding(
                    words,
                    status,
                    words,
                    title=words,
                    message=words,
                    evidence=evidence,
                    remedy=remedy,
                    hint=words,
                    waiver=waiver,
                )
                for status in Status
            ),
            components=(component(words),),
            environment=words,
            headline=words,
            notes=(words,),
        )

    found = commands(REPORTER.render([audited(text, seen)], RenderOptions(prefix=text)))
    plain = commands(REPORTER.render([audited("plain", (HERE, HERE))], RenderOptions()))
    assert [(item.name, item.properties.keys()) for item in found] == [
        (item.name, item.properties.keys()) for item in plain
    ]


def test_every_line_is_a_command_or_begins_with_words_of_ours() -> None:
    text = REPORTER.render([rich_report()], RenderOptions())
    assert all(line.startswith(("::", "✗ gap  ", "= ")) for line in text.splitlines())


def test_paths_are_told_from_the_top_of_the_work_tree(tmp_path: Path) -> None:
    done = run("check", "examples/shop", "--offline", "--format", "github", GITHUB_STEP_SUMMARY="")
    assert done.returncode == 1
    assert "::error file=examples/shop/api/app/observability.py,line=28," in done.stdout
