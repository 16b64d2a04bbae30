"""Markdown: tables that are tables, text of the repository that stays text, and never more than GitHub takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from sentry_audit.model import ChainLink, Evidence, Link, Problem, Remedy, Report, Severity, Status, Waiver
from sentry_audit.reporters.base import RenderOptions
from sentry_audit.reporters.markdown import REPORTER
from tests.test_cli import run
from tests.test_reporters import component, finding, report, rich_report, secret_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable("table")
WAIVER = Waiver(reason="moves next month", until="2026-03-01", owner="ann", place=Evidence("sentry-audit.yaml", 4))
HOSTILE = (
    "a|b \\| `c` ``d`` <img src=x onerror=alert(1)> </details></summary> [l](http://x.example) ![i](http://x.example/i.png) "
    "*e* __s__ ~~d~~ &amp; $m$ @octocat (@org/team) #12 GH-13 \x1b[31m <!-- --> -->"
)


def markdown(*reports: Report, **options: Any) -> str:
    return REPORTER.render(reports, RenderOptions(**options))


def tokens(text: str) -> list[Token]:
    """All tokens of a document, those inside of lines too."""
    return [item for token in PARSER.parse(text) for item in (token, *(token.children or ()))]


def tables(text: str) -> list[list[int]]:
    """Of each table how many cells each row has."""
    found: list[list[int]] = []
    for token in PARSER.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append(0)
        elif token.type in {"th_open", "td_open"}:
            found[-1][-1] += 1
    return found


def shown(text: str) -> str:
    """The words that a reader sees."""
    html = re.sub(r"<!--.*?-->", "", PARSER.render(text), flags=re.DOTALL)
    from html import unescape

    return unescape(re.sub(r"<[^>]+>", "", html))


def hostile_report(text: str) -> Report:
    seen = (Evidence(text, 1, 1, saw=text), Evidence(resource=text, saw=text))
    remedy = Remedy(text, text, True, text, f"```\n{text}\n````\n+{text}")
    chain = (ChainLink(Link.SDK, Status.GAP, text, seen), ChainLink(Link.DSN, Status.UNKNOWN, "plain"))
    return report(
        *(
            finding(
                text, status, text, title=text, message=text, evidence=seen, remedy=remedy, hint=text, waiver=WAIVER
            )
            for status in Status
        ),
        components=(component(text, *chain), component("other", *chain)),
        environment=text,
        headline=text,
        problems=(Problem(text, frozenset(), text, text, seen[0]),),
        notes=(text,),
    )


def test_it_begins_with_the_verdict_and_the_counts() -> None:
    assert markdown(report(finding())).splitlines()[:5] == [
        "## ✗ NOT READY · staging",
        "",
        "**api cannot report errors**",
        "",
        next(line for line in markdown(report(finding())).splitlines() if line.startswith("1 gap (1 high) · exit 1")),
    ]


@pytest.mark.parametrize("reports", [(rich_report(),), (hostile_report(HOSTILE),), (secret_report(), rich_report())])
def test_every_chain_is_a_table_of_four_columns(reports: Sequence[Report]) -> None:
    found = tables(markdown(*reports))
    chains = [item.chain for one in reports for item in one.components if item.chain]
    assert found == [[4] * (len(chain) + 1) for chain in chains]


def test_the_document_of_the_example_has_its_tables_and_its_gaps() -> None:
    done = run(
        "check", "examples/shop", "--env", "staging", "--offline", "--format", "markdown", GITHUB_STEP_SUMMARY=""
    )
    assert done.returncode == 1
    assert tables(done.stdout) == [[4] * 8] * 3
    assert done.stdout.count("<details>") == done.stdout.count("</details>") == 28
    assert "`examples/shop/api/app/observability.py:28`" in done.stdout


@pytest.mark.parametrize("before", ["", "# ", "- ", "1. ", "> ", "===", "    ", "| a |", "```", "+ "])
def test_text_of_the_repository_is_no_markup(before: str) -> None:
    text = markdown(hostile_report(before + HOSTILE), show_passed=True)
    ours = tokens(markdown(hostile_report("plain"), show_passed=True))
    found = tokens(text)

    def markup(items: list[Token]) -> list[str]:
        kinds = {
            "em_open",
            "strong_open",
            "link_open",
            "image",
            "heading_open",
            "list_item_open",
            "hr",
            "blockquote_open",
        }
        return [item.type for item in items if item.type in kinds or item.type in {"code_block", "fence", "table_open"}]

    assert markup(found) == markup(ours)
    inline = {item.content for item in found if item.type == "html_inline"}
    assert inline <= {"<code>", "</code>", "<!-- -->"}
    blocks = "".join(item.content for item in found if item.type == "html_block")
    assert set(re.findall(r"<[^>]*>", blocks)) <= {
        "<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>", "<!-- -->",
    }  # fmt: skip
    assert blocks.count("<summary>") == blocks.count("</summary>") == 1


def test_nobody_is_called_and_no_issue_is_named() -> None:
    text = markdown(hostile_report(HOSTILE), show_passed=True)
    # In code GitHub looks for neither.
    bare = re.sub(r"(?s)^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE)
    bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)|<code>.*?</code>", "", bare)
    assert "octocat" in bare
    assert not re.search(r"(?<![\w/])@\w|(?<!&)#\d|GH-\d", bare)


def test_what_is_escaped_is_shown_as_it_was() -> None:
    text = "dsn && x.includes('@sentry.io') | SENTRY_DSN <b> [1] #12 C:\\tmp $HOME *"
    assert text in shown(markdown(report(finding(message=text))))
    assert text in shown(markdown(report(components=(component("api", ChainLink(Link.SDK, Status.GAP, text)),))))


def test_code_with_backticks_is_code() -> None:
    text = markdown(report(finding(evidence=(Evidence("a.py", 1, saw="`x` ``y``"),))))
    assert [item.content for item in tokens(text) if item.type == "code_inline"][:2] == ["a.py:1", "`x` ``y``"]


def test_gaps_are_folded_by_severity_with_places_and_remedies() -> None:
    diff = "--- a\n+++ b\n-x\n+```y```"
    gap = finding(
        evidence=(Evidence("r.txt", 3, saw="fastapi"),), remedy=Remedy("Add it", "safe", True, "sentry-audit fix", diff)
    )
    text = markdown(
        report(finding("low", severity=Severity.LOW), gap, finding("mid", severity=Severity.MEDIUM)), prefix="shop"
    )
    gaps = text[text.index("### High") :]
    assert re.findall("^### (.*)$|<code>(.*?)</code>", gaps, re.MULTILINE) == [
        ("High", ""), ("", "backend-x"), ("Medium", ""), ("", "mid"), ("Low", ""), ("", "low"),
    ]  # fmt: skip
    assert "- `shop/r.txt:3` `fastapi`" in text
    [block] = [item for item in tokens(text) if item.type == "fence"]
    assert (block.info, block.content) == ("diff", diff + "\n")
    assert "**Fix:** Add it (safe)" in text


def test_unknown_waived_and_unread_are_listed_with_their_reasons() -> None:
    text = markdown(
        report(
            finding("u", Status.UNKNOWN, message="no credentials", hint="gcloud auth login"),
            finding("w", Status.WAIVED, waiver=WAIVER),
            finding("e", Status.ERROR, message="KeyError"),
            problems=(Problem("toml", frozenset(), "bad key", "", Evidence("p.toml", 7)),),
            notes=("cloud was not read",),
        )
    )
    assert "### Not decided\n\n- ? `u` · api: no credentials\n  - Hint: gcloud auth login\n" in text
    assert (
        "- ~ `w` · api: message of w\n  - Reason: moves next month · until 2026-03-01 · owner ann · sentry-audit"
        in text
    )
    assert "### Checks that crashed (not your application's fault)\n\n- ! `e` · api: KeyError" in text
    assert "### Could not be read\n\n- `p.toml:7` bad key" in text
    assert "### Notes\n\n- cloud was not read" in text


def test_an_expired_waiver_is_told_with_its_gap() -> None:
    assert "Hint: its waiver has expired: moves next month · until 2026-03-01" in markdown(
        report(finding(waiver=WAIVER))
    )


def test_passed_and_skipped_only_on_request() -> None:
    audited = report(finding("ok", Status.PASS), finding("na", Status.SKIPPED))
    assert "Passed" not in markdown(audited)
    assert "### Passed\n\n- ✓ `ok` · api: message of ok\n" in markdown(audited, show_passed=True)


@pytest.mark.parametrize("limit", [2_000, 20_000, 65_000])
def test_it_is_never_longer_than_its_reader_takes_and_says_what_is_left_out(limit: int) -> None:
    many = [finding(f"gap-{number:04}", severity=Severity.HIGH, message="é" * 300) for number in range(400)]
    low = [finding(f"low-{number:04}", severity=Severity.LOW) for number in range(3)]
    text = markdown(report(*many, *low), report(*many, environment="production"), limit=limit)
    assert len(text.encode()) <= limit
    heads = len(re.findall("<summary>", text))
    assert text.count("<details>") == text.count("</details>") == heads
    left = sum(int(amount) for amount in re.findall(r"(\d+) (?:high|low) gap", text.rpartition("_Left out")[2]))
    assert heads + left == 803
    assert "NOT READY · production" in text


def test_one_endless_text_does_not_take_all_the_room() -> None:
    text = markdown(report(finding(message="x" * 100_000), finding("other")))
    assert "<code>other</code>" in text
    assert "x…" in text


@pytest.mark.parametrize(
    ("name", "added"), [("markdown", True), ("github", True), ("json", False), ("terminal", False)]
)
def test_the_summary_of_a_job_is_for_formats_that_github_shows(name: str, added: bool, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    done = run("check", "examples/shop", "--offline", "--format", name, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1
    assert done.stdout
    text = summary.read_text("utf-8")
    assert text.startswith("# before\n")
    assert ("## ✗ NOT READY · production" in text) is added


@pytest.mark.parametrize("more", [[], ["--format", "github"]])
def test_markdown_that_goes_into_a_file_is_not_put_into_the_summary_too(more: list[str], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    file = f"markdown={tmp_path / 'r.md'}"
    run("check", "examples/shop", "--offline", "--format", file, *more, GITHUB_STEP_SUMMARY=str(summary))
    assert (tmp_path / "r.md").stat().st_size > 1000
    assert not summary.exists()


def test_a_summary_that_is_full_or_cannot_be_written_is_said_and_changes_nothing(tmp_path: Path) -> None:
    full = tmp_path / "full.md"
    full.write_bytes(b"x" * 999_000)
    for place, said in ((full, "is full"), (tmp_path / "none/x.md", "cannot be written")):
        done = run("check", "examples/shop", "--offline", "--format", "github", GITHUB_STEP_SUMMARY=str(place))
        assert (done.returncode, said in done.stderr) == (1, True)
    assert full.stat().st_size == 999_000
