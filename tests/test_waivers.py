"""What is accepted stays visible, ends on its day, and never covers more than was looked at."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sentry_audit import plugins, reporters
from sentry_audit.app import Request, check
from sentry_audit.chain import build, verdict
from sentry_audit.errors import SettingsError
from sentry_audit.facts import Component
from sentry_audit.fingerprints import fingerprint
from sentry_audit.model import ComponentReport, Evidence, Finding, Link, Report, Severity, Status, Waiver
from sentry_audit.reporters.base import RenderOptions, Reporter
from sentry_audit.reporters.waived import render_written
from sentry_audit.settings import load, parse
from sentry_audit.waivers.inline import read
from sentry_audit.waivers.judging import Ledger
from sentry_audit.waivers.written import BASELINE, INLINE, PERMANENT, Written
from tests.trees import FASTAPI, IMAGE, audit, findings, write

TODAY = date(2026, 11, 26)
FORMATS: dict[str, Reporter] = plugins.discover(reporters, "REPORTER")
GAP = Finding(
    check="dsn-hardcoded",
    title="No DSN is committed",
    area="config",
    severity=Severity.MEDIUM,
    status=Status.GAP,
    message="a DSN is in the code",
    component="api",
    environment="staging",
    evidence=(Evidence("api/main.py", 12, 5, saw="dsn=…"), Evidence("Dockerfile", 3)),
)
REPOSITORY = {
    "requirements.txt": "fastapi\nsentry-sdk>=2.64\n",
    "Dockerfile": IMAGE,
    "main.py": "import sentry_sdk\nsentry_sdk.init()\n" + FASTAPI,
}


def waiver(**changes: Any) -> Written:
    told: dict[str, Any] = {"reason": "why", "until": PERMANENT, "place": Evidence("sentry-audit.yaml", 2)}
    scope: dict[str, Any] = {"checks": ("dsn-hardcoded",)}
    for key, value in changes.items():
        (told if key in {"reason", "until", "owner", "ticket", "place"} else scope)[key] = value
    return Written(waiver=Waiver(**told), **scope)


def judged(*written: Written, finding: Finding = GAP) -> Finding:
    [found] = Ledger(written, TODAY).apply([finding], finding.environment)
    return found


def test_the_list_says_since_when_a_waiver_has_expired() -> None:
    written = [waiver(until="2026-11-25"), waiver(until="2026-11-20")]
    told = render_written(written, (), TODAY, RenderOptions(width=100))
    assert "expired 1 day ago" in told
    assert "expired 6 days ago" in told


# --- what a waiver covers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"checks": ("dsn-*",)},
        {"checks": ("other", "dsn-hardcoded")},
        {"components": ("api",)},
        {"components": ("a*",)},
        {"environments": ("production", "staging")},
        {"environments": ("stg",)},
        {"environments": ("*",)},
        {"paths": ("api/",)},
        {"paths": ("*.py", "!legacy/*.py")},
        {"fingerprints": ("0", fingerprint(GAP))},
        {"components": ("api",), "environments": ("staging",), "paths": ("api/**",)},
    ],
)
def test_a_gap_in_scope_is_waived(changes: dict[str, Any]) -> None:
    found = judged(waiver(**changes))
    assert found.status is Status.WAIVED
    assert found.waiver is not None
    assert found.waiver.reason == "why"
    assert found.message == GAP.message


@pytest.mark.parametrize(
    "changes",
    [
        {"checks": ("dsn-format",)},
        {"components": ("worker",)},
        {"environments": ("production",)},
        {"paths": ("worker/",)},
        {"paths": ("Dockerfile",)},  # the gap is at the first place that it names
        {"paths": ("*.py", "!api/main.py")},
        {"components": ("api",), "environments": ("production",)},
    ],
)
def test_a_gap_out_of_scope_is_none_of_its(changes: dict[str, Any]) -> None:
    assert judged(waiver(**changes)) == GAP


@pytest.mark.parametrize("status", [item for item in Status if item is not Status.GAP])
def test_only_gaps_are_waived(status: Status) -> None:
    finding = replace(GAP, status=status)
    assert judged(waiver(), finding=finding) == finding


def test_a_gap_without_a_place_is_not_in_any_path() -> None:
    bare = replace(GAP, evidence=())
    assert judged(waiver(paths=("*",)), finding=bare) == bare
    assert judged(waiver(), finding=bare).status is Status.WAIVED


def test_it_holds_through_its_last_day() -> None:
    assert judged(waiver(until="2026-11-26")).status is Status.WAIVED
    found = judged(waiver(until="2026-11-25"))
    assert found.status is Status.GAP
    assert found.waiver is not None
    assert found.waiver.until == "2026-11-25"
    assert found.hint == "its waiver expired 1 day ago (sentry-audit.yaml:2): why"
    assert "expired 3 days ago" in judged(waiver(until="2026-11-23"), finding=replace(GAP, hint="grant it")).hint
    assert fingerprint(found) == fingerprint(GAP)


def test_changed_content_is_a_gap_that_says_so() -> None:
    ledger = Ledger([waiver(fingerprints=("0123456789abcdef",))], TODAY)
    [found] = ledger.apply([GAP], "staging")
    assert found.status is Status.GAP
    assert found.waiver is None
    assert "given for something else" in found.hint
    [unused] = ledger.unused(["staging"])
    assert "something else is" in unused.why


def test_a_second_gap_of_the_same_content_is_not_hidden_by_the_first() -> None:
    ledger = Ledger([waiver(fingerprints=(fingerprint(GAP),))], TODAY)
    twin = replace(GAP, evidence=(replace(GAP.evidence[0], line=40), GAP.evidence[1]))
    assert fingerprint(twin) == fingerprint(GAP)
    assert [item.status for item in ledger.apply([GAP, twin], "staging")] == [Status.WAIVED, Status.GAP]


def test_of_two_waivers_the_valid_one_counts_and_then_the_more_exact() -> None:
    expired = waiver(until="2020-01-01", reason="old", fingerprints=(fingerprint(GAP),))
    broad = waiver(checks=("*",), reason="broad")
    exact = waiver(components=("api",), reason="exact")
    beside = waiver(source=INLINE, lines=(12,), place=Evidence("api/main.py", 12), reason="beside")
    before = waiver(source=BASELINE, fingerprints=(fingerprint(GAP),), reason="before")
    for written, reason in (
        ([expired, broad], "broad"),
        ([broad, exact], "exact"),
        ([exact, beside, before], "beside"),
        ([before, broad], "broad"),
        ([exact, waiver(components=("api",), reason="later")], "exact"),
    ):
        found = judged(*written)
        assert found.waiver is not None
        assert (found.status, found.waiver.reason) == (Status.WAIVED, reason)


# --- what is said of waivers --------------------------------------------------------------------


def notes(ledger: Ledger, *found: Finding, known: tuple[str, ...] = ("staging",), whole: bool = True) -> str:
    ledger.apply(found, "staging")
    return "\n".join(ledger.notes(known, whole=whole))


def test_a_waiver_of_no_use_is_named() -> None:
    passed = replace(GAP, status=Status.PASS)
    assert "sentry-audit.yaml:2 (dsn-hardcoded) waives nothing: there is no such gap" in notes(
        Ledger([waiver()], TODAY), passed
    )
    assert "no component apii" in notes(Ledger([waiver(components=("apii",))], TODAY), passed)
    assert "expired 6 days ago" in notes(Ledger([waiver(until="2026-11-20")], TODAY), passed)
    assert "expired 6 days ago" in notes(Ledger([waiver(until="2026-11-20")], TODAY), GAP)
    assert notes(Ledger([waiver()], TODAY), GAP) == ""


def test_what_was_not_looked_at_is_not_called_useless() -> None:
    passed = replace(GAP, status=Status.PASS)
    unknown = replace(GAP, status=Status.UNKNOWN)
    assert notes(Ledger([waiver()], TODAY), unknown) == ""
    assert notes(Ledger([waiver()], TODAY), passed, whole=False) == ""
    elsewhere = waiver(environments=("production",))
    assert notes(Ledger([elsewhere], TODAY), passed, known=("staging", "production")) == ""
    assert notes(Ledger([waiver(environments=("local",))], TODAY), passed) == ""


def test_a_misspelt_environment_is_named() -> None:
    assert "environment stagin; did you mean staging?" in notes(Ledger([waiver(environments=("stagin",))], TODAY), GAP)
    assert notes(Ledger([waiver(environments=("stg",))], TODAY), GAP) == ""


def test_the_end_is_announced() -> None:
    assert "expires in 14 days" in notes(Ledger([waiver(until="2026-12-10")], TODAY), GAP)
    assert "expires today" in notes(Ledger([waiver(until="2026-11-26")], TODAY), GAP)
    assert notes(Ledger([waiver(until="2026-12-11")], TODAY), GAP) == ""


# --- the chain and the verdict ------------------------------------------------------------------


def linked(status: Status, severity: Severity = Severity.HIGH, link: Link = Link.DSN) -> Finding:
    told = Waiver(reason="why", until=PERMANENT) if status is Status.WAIVED else None
    return replace(GAP, status=status, severity=severity, link=link, waiver=told)


def chained(*found: Finding) -> tuple[dict[Link, Status], bool, str]:
    chain = build(Component(name="api", path=".", component="api"), found, "staging", {})
    ready, headline = verdict([ComponentReport("api", ".", "pypi", "service", None, chain)], "staging")
    return {item.link: item.status for item in chain}, ready, headline


def test_a_waived_link_is_not_said_to_hold() -> None:
    others = [linked(Status.PASS, link=link) for link in Link if link is not Link.DSN]
    statuses, ready, headline = chained(linked(Status.WAIVED), *others)
    assert statuses[Link.DSN] is Status.WAIVED
    assert statuses[Link.DEPLOY] is Status.PASS
    assert not ready
    assert headline == "api: errors cannot reach Sentry from staging, which is waived: dsn"
    _, ready, headline = chained(linked(Status.WAIVED))
    assert not ready
    assert headline.endswith("is waived: dsn; not proven: sdk, init, deploy, secret, cloud-run, accepted")


def test_a_waived_link_does_not_hide_what_passes_or_breaks_on_it() -> None:
    assert chained(linked(Status.WAIVED), linked(Status.PASS))[0][Link.DSN] is Status.WAIVED
    assert chained(linked(Status.WAIVED), linked(Status.UNKNOWN))[0][Link.DSN] is Status.WAIVED
    assert chained(linked(Status.WAIVED), linked(Status.GAP))[0][Link.DSN] is Status.GAP


def test_what_does_not_break_a_link_does_not_break_it_when_waived() -> None:
    others = [linked(Status.PASS, link=link) for link in Link]
    _, ready, headline = chained(linked(Status.WAIVED, Severity.MEDIUM), *others)
    assert ready
    assert "every link is proven" in headline


# --- reports ------------------------------------------------------------------------------------


def report(*found: Finding) -> Report:
    return Report(
        root="/shop",
        environment="staging",
        ready=False,
        headline="x",
        components=(ComponentReport("api", ".", "pypi", "service", None, ()),),
        findings=found,
        problems=(),
        exit_code=0,
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_reason(name: str) -> None:
    found = judged(waiver(reason="the-base-image-has-it", until="2027-01-31", owner="@platform", ticket="OPS-12"))
    text = FORMATS[name].render([report(found)], RenderOptions(show_waived=True))
    assert "the-base-image-has-it" in text
    assert "2027-01-31" in text


def test_the_terminal_counts_and_on_demand_lists() -> None:
    found = judged(waiver(until="2027-01-31", owner="@platform", ticket="OPS-12"))
    render = FORMATS["terminal"].render
    short, long = (render([report(found)], RenderOptions(show_waived=shown)) for shown in (False, True))
    assert "1 gap is waived: sentry-audit check --show-waived" in short
    assert "why" not in short
    assert "until 2027-01-31 · owner @platform · ticket OPS-12 · sentry-audit.yaml:2" in long
    assert "may be fixed" not in long


def test_gaps_with_different_waivers_are_told_apart() -> None:
    other = replace(GAP, component="worker", waiver=Waiver(reason="second", until=PERMANENT), status=Status.WAIVED)
    text = FORMATS["terminal"].render([report(judged(waiver(reason="first")), other)], RenderOptions(show_waived=True))
    assert "first" in text
    assert "second" in text


@pytest.mark.parametrize(
    "reason", ["\x1b[31mred", "[bold]x[/bold]", "a\nb", "\u202eevil", "'; DROP", "🎉" * 90, "<script>x</script>"]
)
def test_a_hostile_reason_is_text(reason: str) -> None:
    text = FORMATS["terminal"].render([report(judged(waiver(reason=reason)))], RenderOptions(show_waived=True))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert json.loads(FORMATS["json"].render([report(judged(waiver(reason=reason)))], RenderOptions()))


# --- in the settings ----------------------------------------------------------------------------


def test_settings_hold_waivers_with_their_lines(tmp_path: Path) -> None:
    text = """\
        environments: [staging]

        waivers:
          # a comment
          - check: dsn-hardcoded
            reason: "two\\n words"
            until: 2027-01-31
            paths: api/
            ticket: 12
          - {check: "backend-*", reason: b, until: permanent, components: [api], fingerprint: ["00"]}
        """
    [first, second] = load(write(tmp_path, {"sentry-audit.yaml": text})).waivers
    assert first.waiver == Waiver(
        reason="two words", until="2027-01-31", ticket="12", place=Evidence("sentry-audit.yaml", 5)
    )
    assert first.paths == ("api/",)
    assert (second.waiver.place.line, second.components, second.fingerprints) == (10, ("api",), ("00",))


def test_pyproject_holds_them_too(tmp_path: Path) -> None:
    text = """\
        [tool.sentry-audit]
        exclude = ["x"]

        [[tool.sentry-audit.waivers]]
        check = "a"
        reason = "r"
        until = 2027-01-31

        [[tool.sentry-audit.waivers]]
        check = "b"
        reason = "r"
        until = "permanent"
        """
    [first, second] = load(write(tmp_path, {"pyproject.toml": text})).waivers
    assert (str(first.waiver.place), first.waiver.until) == ("pyproject.toml:4", "2027-01-31")
    assert (str(second.waiver.place), second.waiver.until) == ("pyproject.toml:9", "permanent")


@pytest.mark.parametrize(
    ("entry", "line", "words", "hint"),
    [
        ("{reason: r, until: permanent}", 2, "waivers[0]: 'check' is missing", "for example"),
        ("{check: a, until: permanent}", 2, "'reason' is missing", "for example"),
        ("{check: a, reason: r}", 2, "'until' is missing", "until: 2027-01-31"),
        ("{check: a, reason: '  ', until: permanent}", 2, "waivers[0].reason is empty", "for example"),
        ("\n    check: a\n    reason: r\n    untl: permanent", 5, "unknown key 'untl'", "did you mean until?"),
        ("\n    check: a\n    reason: r\n    until: 2027-13-45", 5, "'2027-13-45' is neither a date", "permanent"),
        ("{check: a, reason: r, until: 20270131}", 2, "'20270131' is neither a date", "permanent"),
        ("{check: a, reason: r, until: 2027-01-31 10:00:00}", 2, "is neither a date", "permanent"),
        ("{check: a, reason: r, until: never}", 2, "'never' is neither a date", "permanent"),
        ("{check: a, reason: r, until: permanent, paths: []}", 2, "waivers[0].paths must be", "leave paths out"),
        ("{check: a, reason: r, until: permanent, components: [1]}", 2, "waivers[0].components must be", "for example"),
        ("{check: [a], reason: r, until: permanent}", 2, "waivers[0].check must be a text", ""),
        ("text", 2, "waivers[0]: expected a mapping", "the keys are: check"),
    ],
)
def test_a_waiver_that_cannot_be_meant(tmp_path: Path, entry: str, line: int, words: str, hint: str) -> None:
    (tmp_path / "sentry-audit.yaml").write_text(f"waivers:\n  - {entry}\n")
    with pytest.raises(SettingsError) as error:
        load(tmp_path)
    assert error.value.message.startswith(f"sentry-audit.yaml:{line}: ")
    assert words in error.value.message
    assert hint in error.value.hint


def test_other_mistakes_in_the_settings_have_a_line_too(tmp_path: Path) -> None:
    for name, text, place in (
        ("sentry-audit.yaml", "# c\ncomponents:\n  - name: a\n    path: a\n    role: x\n", "sentry-audit.yaml:5: "),
        ("sentry-audit.yaml", "exclude: [a]\nenvironments: x\n", "sentry-audit.yaml:2: environments must be"),
        ("pyproject.toml", "[tool.sentry-audit]\nexclude = 'x'\n", "pyproject.toml:2: [tool.sentry-audit]: exclude"),
        ("pyproject.toml", "[tool.sentry-audit.google_cloud]\nproject = 3\n", "pyproject.toml:2: [tool.sentry-audit]"),
    ):
        folder = tmp_path / str(abs(hash(text)))
        write(folder, {name: text})
        with pytest.raises(SettingsError) as error:
            load(folder)
        assert error.value.message.startswith(place), error.value.message


def test_a_date_of_toml_with_a_time_is_none() -> None:
    import tomllib

    data = tomllib.loads("[[waivers]]\ncheck='a'\nreason='r'\nuntil=2027-01-31T10:00:00Z\n")
    with pytest.raises(SettingsError, match="neither a date nor permanent"):
        parse(data, "pyproject.toml")


# --- in comments --------------------------------------------------------------------------------

KNOWN = ("dsn-hardcoded", "backend-sdk-bounded")


def in_comments(path: str, text: str) -> tuple[list[Written], list[str]]:
    return read(path, text, TODAY, KNOWN)


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("a.py", "x = 1  # sentry-audit: ignore[dsn-hardcoded] why", (1,)),
        ("a.py", "# sentry-audit: ignore[dsn-hardcoded] why\nx = 1\n", (1, 2)),
        ("a.py", "# sentry-audit: ignore[dsn-hardcoded] why\n# more\nx = 1\n", (1, 3)),
        ("a.py", "def f(:\n# sentry-audit: ignore[dsn-hardcoded] why\nx = '''", (2, 3)),
        ("a.ts", "f() // sentry-audit: ignore[dsn-hardcoded] why", (1,)),
        ("a.ts", "/* sentry-audit: ignore[dsn-hardcoded] why */\r\nf()\r\n", (1, 2)),
        ("a.tsx", "const a = <b>{/* sentry-audit: ignore[dsn-hardcoded] why */}</b>", (1,)),
        ("a.js", "/*\n * sentry-audit: ignore[dsn-hardcoded] why\n */\nf()\n", (2, 4)),
        ("a.vue", "<script>\nf() // sentry-audit: ignore[dsn-hardcoded] why\n</script>\n", (2,)),
        ("a.vue", "<!-- sentry-audit: ignore[dsn-hardcoded] why -->\n<p/>\n", (1, 2)),
        ("a.html", "<!-- sentry-audit: ignore[dsn-hardcoded] why -->\n<p>\n", (1, 2)),
        ("a.sql", "-- sentry-audit: ignore[dsn-hardcoded] why\nselect\n", (1, 2)),
        ("a.tf", "  // sentry-audit: ignore[dsn-hardcoded] why\nx = 1\n", (1, 2)),
        ("Dockerfile", "# sentry-audit: ignore[dsn-hardcoded] why\nENV A=b\n", (1, 2)),
        (".env", "# sentry-audit: ignore[dsn-hardcoded] why\nA=b\n", (1, 2)),
    ],
)
def test_a_comment_waives_its_line_or_the_next(path: str, text: str, lines: tuple[int, ...]) -> None:
    [found], complaints = in_comments(path, text)
    assert not complaints
    assert (found.lines, found.checks, found.waiver.reason) == (lines, ("dsn-hardcoded",), "why")
    assert found.waiver.until == PERMANENT
    assert "sentry-audit: ignore[dsn-hardcoded] why" in text[slice(*found.span)]


def test_a_comment_may_say_more() -> None:
    text = (
        "# sentry-audit: ignore[dsn-*, backend-sdk-bounded] until=2027-01-31 owner=@team it is public ticket=OPS-1 a=b"
    )
    [found], _ = in_comments("a.py", text)
    assert found.checks == ("dsn-*", "backend-sdk-bounded")
    assert found.waiver == Waiver(
        reason="it is public a=b", until="2027-01-31", owner="@team", ticket="OPS-1", place=Evidence("a.py", 1)
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", 'x = "# sentry-audit: ignore[dsn-hardcoded] why"'),
        ("a.py", '"""\n# sentry-audit: ignore[dsn-hardcoded] why\n"""\n'),
        ("a.ts", "const a = '// sentry-audit: ignore[dsn-hardcoded] why'"),
        ("a.ts", "const a = `\n// sentry-audit: ignore[dsn-hardcoded] why\n`"),
        ("a.py", "# sentry-audit: see the docs\n"),
        ("a.yaml", "a: 'sentry-audit: ignore[dsn-hardcoded] why'\n"),
    ],
)
def test_what_is_no_comment_waives_nothing(path: str, text: str) -> None:
    assert in_comments(path, text) == ([], [])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("ignore", "names no check"),
        ("ignore why", "names no check"),
        ("ignore[] why", "names no check"),
        ("ignore[dsn-hardcoded why", "names no check"),
        ("ignore[dsn-hardcoded]", "gives no reason"),
        ("ignore[dsn-hardcoded] until=2027-01-31", "gives no reason"),
        ("ignore[dsn-hardcoded] --", "gives no reason"),
        ("ignore[dsn-hardcodet] why", "did you mean dsn-hardcoded?"),
        ("ignore[dsn-hardcoded, nothing] why", "no check is called nothing"),
        ("ingore[dsn-hardcoded] why", "it says 'ingore'"),
        ("ignore[dsn-hardcoded] until=soon why", "until=soon is neither a date"),
        ("ignore[dsn-hardcoded] until=2027-02-30 why", "is neither a date"),
        ("ignore[dsn-hardcoded] until= why", "until= has no value"),
        ("ignore[dsn-hardcoded] untill=2027-01-31 why", "did you mean until?"),
        ("ignore[dsn-hardcoded] expires=2027-01-31 why", "expires= is unknown"),
        ("ignore[dsn-hardcoded] why until=2027-01-31 until=2028-01-31", "is there twice"),
    ],
)
def test_half_a_waiver_is_named_and_not_honoured(body: str, words: str) -> None:
    found, [complaint] = in_comments("app/main.py", f"\n# sentry-audit: {body}\n")
    assert not found
    assert complaint.startswith("app/main.py:2: this waiver is not honoured: ")
    assert words in complaint


def test_behind_something_that_no_tokenizer_reads_it_is_not_guessed() -> None:
    found, [complaint] = in_comments("a.yaml", "a: 1  # sentry-audit: ignore[dsn-hardcoded] why\n")
    assert not found
    assert "on a line of its own" in complaint


# --- in an audit --------------------------------------------------------------------------------


def test_an_audit_takes_both_kinds(tmp_path: Path) -> None:
    bounded = "# sentry-audit: ignore[backend-sdk-bounded] the image pins it\n"
    files = {
        **REPOSITORY,
        "requirements.txt": f"fastapi\n{bounded}sentry-sdk>=2.64\n",
        "sentry-audit.yaml": "waivers: [{check: release-set, reason: later, until: 2027-01-31}]\n",
    }
    found = audit(tmp_path, files, today=TODAY)
    [first] = findings(found, "backend-sdk-bounded")
    [second] = findings(found, "release-set")
    assert first.status is second.status is Status.WAIVED
    assert first.waiver is not None
    assert (first.waiver.reason, str(first.waiver.place)) == ("the image pins it", "requirements.txt:2")
    late = audit(tmp_path, {}, today=date(2027, 2, 3))
    [second] = findings(late, "release-set")
    assert second.status is Status.GAP
    assert "expired 3 days ago (sentry-audit.yaml:1)" in second.hint


def test_nothing_is_accepted_without_waivers(tmp_path: Path) -> None:
    text = "waivers: [{check: '*', reason: all, until: permanent}]\n"
    files = {**REPOSITORY, "sentry-audit.yaml": text}
    waived = audit(tmp_path, files)
    assert waived.exit_code in {0, 4}
    assert waived.counts()["gap"] == 0
    assert not waived.ready
    plain = audit(tmp_path, files, waivers=False)
    assert plain.counts()["waived"] == 0
    assert plain.counts()["gap"] == waived.counts()["waived"] > 0
    assert plain.exit_code == 1


def test_a_waiver_of_no_check_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "waivers:\n  - {check: dsn-hardcodet, reason: r, until: permanent}\n"
    with pytest.raises(SettingsError, match=r"sentry-audit.yaml:2: .*no check is called dsn-hardcodet") as error:
        audit(tmp_path, {**REPOSITORY, "sentry-audit.yaml": text})
    assert error.value.hint == "did you mean dsn-hardcoded?"


def test_with_several_environments_a_waiver_is_judged_by_all(tmp_path: Path) -> None:
    text = """\
        waivers:
          - {check: release-set, reason: r, until: permanent, environments: [staging]}
          - {check: dsn-hardcoded, reason: r, until: permanent}
        """
    write(tmp_path, {**REPOSITORY, "sentry-audit.yaml": text})
    reports = check(Request(root=tmp_path, all_environments=True, today=TODAY))
    assert [item.environment for item in reports] == ["staging", "production"]
    statuses = [next(item.status for item in each.findings if item.check == "release-set") for each in reports]
    assert statuses == [Status.WAIVED, Status.GAP]
    told = [note for each in reports for note in each.notes if "waives nothing" in note]
    assert len(told) == 1
    assert "sentry-audit.yaml:3 (dsn-hardcoded)" in told[0]


def test_the_documents_show_what_is_honoured(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "waivers.md").read_text(encoding="utf-8")
    settings, code = (text.split(f"```{kind}\n")[1].split("```")[0] for kind in ("yaml", "python"))
    [written] = load(write(tmp_path, {"sentry-audit.yaml": settings})).waivers
    assert (written.checks, written.waiver.until) == (("privacy-scrubbing",), "2027-01-31")
    main = REPOSITORY["main.py"].replace("sentry_sdk.init()\n", code)
    (tmp_path / "sentry-audit.yaml").unlink()
    [found] = findings(audit(tmp_path, {**REPOSITORY, "main.py": main}, today=TODAY), "sampling-per-environment")
    assert found.status is Status.WAIVED
    assert found.waiver is not None
    assert found.waiver.reason == "a demo, never deployed"


def test_documents_that_speak_of_waivers_have_none(tmp_path: Path) -> None:
    text = "Write `# sentry-audit: ignore[check-id]`:\n\n# sentry-audit: ignore[nothing]\n"
    found = audit(tmp_path, {**REPOSITORY, "docs/waivers.md": text, "README.rst": text})
    assert not [note for note in found.notes if "waiver" in note]
