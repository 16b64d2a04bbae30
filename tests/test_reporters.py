"""Every format: redacted, within its columns, true to its contract."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from rich.cells import cell_len

from sentry_audit import __version__, plugins, reporters
from sentry_audit.dsn import redact
from sentry_audit.model import (
    ChainLink,
    CloudRead,
    ComponentReport,
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
from sentry_audit.reporters.base import RenderOptions, Reporter, exit_code
from sentry_audit.reporters.schema import output_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "0123456789abcdef0123456789abcdef"
DSN = f"https://{KEY}@o1.ingest.us.sentry.io/2"
LONG = "services/" + "a-rather-long-folder-name/" * 6 + "main.py"
DIFF = "--- a/requirements.txt\n+++ b/requirements.txt\n@@ -1,2 +1,2 @@\n fastapi\n-raven\n+sentry-sdk[fastapi]>=2,<3\n"
FORMATS: dict[str, Reporter] = plugins.discover(reporters, "REPORTER")
VALIDATOR = Draft202012Validator(output_schema())


def finding(check: str = "backend-x", status: Status = Status.GAP, component: str = "api", **changes: Any) -> Finding:
    plain = Finding(
        check=check,
        title=f"title of {check}",
        area="backend",
        severity=Severity.HIGH,
        status=status,
        message=f"message of {check}",
        component=component,
        environment="staging",
    )
    return replace(plain, **changes)


def component(name: str, *chain: ChainLink) -> ComponentReport:
    return ComponentReport(name, f"services/{name}", "pypi", "service", f"services/{name}/main.py:app", chain)


def report(*findings: Finding, **changes: Any) -> Report:
    broken = (
        ChainLink(Link.SDK, Status.GAP, "nothing declares sentry-sdk", (Evidence("services/api/requirements.txt", 3),)),
        ChainLink(Link.INIT, Status.SKIPPED, "skipped (fix sdk first)"),
        ChainLink(Link.DSN, Status.SKIPPED, ""),
    )
    unclear = (
        ChainLink(Link.SDK, Status.PASS, "sentry-sdk 2.30.0", (Evidence(LONG, 1, 2),)),
        ChainLink(Link.SECRET, Status.UNKNOWN, "no credentials", (Evidence(resource="projects/p/secrets/s"),)),
    )
    plain = Report(
        root="/home/u/shop",
        environment="staging",
        ready=False,
        headline="api cannot report errors",
        components=(component("api", *broken), component("worker", *unclear)),
        findings=findings,
        problems=(),
        exit_code=1,
    )
    return replace(plain, **changes)


def rich_report() -> Report:
    """A bit of everything, in long words, in many scripts, and in what looks like markup."""
    evidence = (
        Evidence(LONG, 12, 5, saw="x = [/tmp] [bold]no[/bold] [link=https://example.org]"),
        Evidence(resource="projects/p/locations/europe-west1/services/" + "s" * 90),
        Evidence("数据/設定/" + "漢字" * 50 + ".py", 3, saw="ünïcode 🎉 " + "é" * 120),
        Evidence(saw="\tindented\x1b[31m red \u202e reversed \udc80 lone"),
    )
    remedy = Remedy("add sentry-sdk to " + LONG, "safe", True, "sentry-audit fix --only backend-gap", DIFF + "+" * 200)
    return report(
        finding("backend-gap", evidence=evidence, remedy=remedy, link=Link.SDK, hint="see [/docs]"),
        finding("backend-low", severity=Severity.LOW, component="worker", confidence=Confidence.MEDIUM),
        finding("cloud-a", Status.UNKNOWN, hint="grant roles/secretmanager.viewer", evidence=evidence),
        finding("custom-check", Status.ERROR, message="KeyError: [/]"),
        finding("backend-ok", Status.PASS, "worker"),
        finding("backend-na", Status.SKIPPED, "worker", message="skipped: not applicable"),
        finding("backend-waived", Status.WAIVED),
        problems=(Problem("python", frozenset({"b", "a"}), "invalid [/syntax]", "fix it", Evidence(LONG, 9)),),
        notes=("cloud sources were not read",),
    )


def secret_report() -> Report:
    """A DSN in every field that takes text."""
    seen = (Evidence(f"dir/{DSN}", 1, 1, None, f"saw {DSN}"), Evidence(resource=DSN))
    remedy = Remedy(f"set {DSN}", "review", True, f"export X={DSN}", f"--- a\n+++ b\n-{DSN}\n+SENTRY_DSN={DSN}\n")
    chain = tuple(ChainLink(Link.SDK, status, f"message {DSN}", seen) for status in Status)
    waiver = Waiver(reason=f"reason {DSN}", until=f"until {DSN}", owner=f"owner {DSN}", ticket=DSN, place=seen[0])
    rule = Rule(
        id=f"c-{DSN}", title=f"title {DSN}", why=f"why {DSN}", area=f"area {DSN}", severity=Severity.HIGH, remedy=f"set {DSN}",
        refs=(f"https://docs.example/?{DSN}",), permissions=(f"read {DSN}",),
    )  # fmt: skip
    return report(
        *(
            finding(
                f"c-{DSN}",
                status,
                f"name {DSN}",
                title=f"title {DSN}",
                area=f"area {DSN}",
                message=f"message\n{DSN}\n(x)",
                environment=DSN,
                evidence=seen,
                remedy=remedy,
                hint=f"hint {DSN}",
                waiver=waiver,
            )
            for status in Status
        ),
        root=f"/root\\x {DSN}?",
        environment=f"env {DSN}",
        headline=f"headline {DSN}",
        components=(
            ComponentReport(f"name {DSN}", DSN, f"eco {DSN}", f"role {DSN}", f"{DSN}:app", chain, (f"because {DSN}",)),
            component("other"),
        ),
        problems=(Problem(DSN, frozenset({DSN}), f"reason {DSN}", f"hint {DSN}", seen[0], DSN),),
        notes=(f"note {DSN}",),
        rules=(rule,),
        cloud=CloudRead(f"at {DSN}", f"who {DSN}", f"how {DSN}", f"file {DSN}", (DSN,)),
    )


def terminal(*reports: Report, **options: Any) -> str:
    return FORMATS["terminal"].render(reports, RenderOptions(**options))


def as_json(*reports: Report) -> Any:
    return json.loads(FORMATS["json"].render(reports, RenderOptions()))


def squeezed(text: str) -> str:
    return "".join(text.split())


# --- every format -------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_no_format_shows_a_key(name: str, color: bool, verbose: bool) -> None:
    options = RenderOptions(color=color, show_passed=True, verbose=verbose)
    text = squeezed(FORMATS[name].render([secret_report()], options))
    assert KEY not in text
    assert KEY[:16] not in text
    assert KEY[16:] not in text
    assert color or redact(DSN) in text


@pytest.mark.parametrize("name", FORMATS)
def test_rendering_is_deterministic_and_ends_with_a_newline(name: str) -> None:
    first, second = (FORMATS[name].render([rich_report()], RenderOptions()) for _ in range(2))
    assert first == second
    assert first.endswith("\n")
    assert not first.endswith("\n\n")


@pytest.mark.parametrize("name", FORMATS)
def test_output_can_be_written_as_utf_8(name: str) -> None:
    text = FORMATS[name].render([rich_report()], RenderOptions(show_passed=True, verbose=True))
    assert text.encode("utf-8")
    assert "\x1b" not in text
    assert "\u202e" not in text or name == "json"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_why_google_cloud_was_not_read(name: str) -> None:
    cloud = CloudRead("2026-01-31T12:00:00Z", failure="no credentials", command="gcloud auth login")
    text = FORMATS[name].render([report(cloud=cloud)], RenderOptions())
    assert "no credentials" in text
    assert "gcloud auth login" in text


@pytest.mark.parametrize("name", FORMATS)
def test_reporters_are_named_like_their_modules(name: str) -> None:
    assert FORMATS[name].name == name


# --- terminal: the page -------------------------------------------------------------------------


@pytest.mark.parametrize("make", [rich_report, secret_report, report])
@pytest.mark.parametrize("width", [80, 100, 60, 40, 24])
@pytest.mark.parametrize("everything", [False, True])
def test_no_line_is_wider_than_the_page(make: Any, width: int, everything: bool) -> None:
    text = terminal(make(), make(), width=width, show_passed=everything, verbose=everything)
    assert [line for line in text.splitlines() if cell_len(line) > width] == []


def test_color_changes_nothing_but_color(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.text import Text

    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.setenv(name, "1")
    plain, colored = (terminal(rich_report(), color=color) for color in (False, True))
    assert "\x1b[" in colored
    assert "\x1b" not in plain
    assert Text.from_ansi(colored).plain.split() == plain.split()


def test_data_is_never_markup_and_never_cut() -> None:
    text = squeezed(terminal(rich_report()))
    for data in ("[/tmp][bold]no[/bold]", "[link=https://example.org]", "KeyError:[/]", LONG, "漢字" * 50, "s" * 90):
        assert squeezed(data) in text
    assert "\\x1b[31mred\\u202ereversed\\udc80lone" in text


def test_the_golden_page() -> None:
    gap = finding(
        "backend-sdk-declared",
        title="sentry-sdk is no runtime dependency",
        message="No manifest that the image installs declares sentry-sdk.",
        evidence=(Evidence("services/api/requirements.txt", 3, saw="fastapi==0.115.0"),),
        remedy=Remedy("add sentry-sdk to services/api/requirements.txt", "safe", True, "", "+sentry-sdk>=2,<3"),
        link=Link.SDK,
    )
    unknown = finding("cloud-secret", Status.UNKNOWN, "worker", message="no credentials", hint="gcloud auth login")
    page = terminal(
        report(
            gap,
            unknown,
            finding("ok", Status.PASS),
            problems=(Problem("toml", frozenset(), "bad", "", Evidence("p", 1)),),
        )
    )
    assert page == EXPECTED


EXPECTED = f"""\
{f"sentry-audit {__version__}  staging · shop":<57}3 checks · 2 components

✗ NOT READY  api cannot report errors

api  service · services/api · services/api/main.py:app
  ✗ gap      sdk        nothing declares sentry-sdk
                        services/api/requirements.txt:3
  – skipped  init       (fix sdk first)
  – skipped  dsn        (fix sdk first)

worker  service · services/worker · services/worker/main.py:app
  ✓ pass     sdk        sentry-sdk 2.30.0
                        {LONG[:56]}
                        {LONG[56:112]}
                        {LONG[112:168]}
                        {LONG[168:]}:1
  ? unknown  secret     no credentials  projects/p/secrets/s

✗ GAP  backend-sdk-declared   high · api
    sentry-sdk is no runtime dependency
    No manifest that the image installs declares sentry-sdk.
    services/api/requirements.txt:3  fastapi==0.115.0
    fix:  add sentry-sdk to services/api/requirements.txt (safe)
      +sentry-sdk>=2,<3
    more: sentry-audit explain backend-sdk-declared

Not decided
  ? unknown  cloud-secret · worker
    no credentials
    hint: gcloud auth login

Could not be read
  p:1  bad

1 gap (1 high) · 1 pass · 1 unknown
1 of 1 may be fixed: sentry-audit fix /home/u/shop --env staging --dry-run
next: sentry-audit explain backend-sdk-declared                           exit 1
"""


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"ready": True, "components": ()}, "✓ READY  api cannot"),
        ({"components": (component("api", ChainLink(Link.DSN, Status.UNKNOWN, "dynamic")),)}, "? NOT PROVEN  api"),
        ({"components": (component("api", ChainLink(Link.DSN, Status.GAP, "empty")),)}, "✗ NOT READY  api"),
        ({"components": (), "findings": (finding(),)}, "✗ NOT READY  api"),
    ],
)
def test_the_verdict_has_a_glyph_and_a_word(changes: dict[str, Any], verdict: str) -> None:
    assert terminal(report(**changes)).splitlines()[2].startswith(verdict)


def test_the_first_broken_link_stands_out() -> None:
    bold = [
        line for line in terminal(report(), color=True).splitlines() if "\x1b[1msdk" in line or "\x1b[1minit" in line
    ]
    assert len(bold) == 1
    assert "nothing declares" in bold[0]


def test_a_link_that_does_not_apply_keeps_its_own_reason() -> None:
    chain = (ChainLink(Link.SDK, Status.GAP, "x"), ChainLink(Link.SECRET, Status.SKIPPED, "skipped: no cloud project"))
    assert "– skipped  secret     no cloud project\n" in terminal(report(components=(component("api", *chain),)))


def test_gaps_come_by_severity_then_component_then_check() -> None:
    text = terminal(
        report(
            finding("b-low", severity=Severity.LOW),
            finding("a-medium", severity=Severity.MEDIUM),
            finding("a-high", component="worker"),
            finding("z-high", component="api"),
            finding("y-high", component="api"),
        )
    )
    heads = [line.split()[2] for line in text.splitlines() if line.startswith("✗ GAP")]
    assert heads == ["y-high", "z-high", "a-high", "a-medium", "b-low"]
    assert "5 gaps (3 high, 1 medium, 1 low)" in text


def test_the_next_step_is_the_first_broken_link() -> None:
    text = terminal(report(finding("a-first"), finding("z-sdk", link=Link.SDK, severity=Severity.MEDIUM)))
    assert "next: sentry-audit explain z-sdk" in text


def test_the_same_gap_of_many_components_is_one_entry() -> None:
    jobs = [f"job-{number}" for number in range(8)]
    same = [
        finding("backend-x", component=job, message="same", evidence=(Evidence(f"{job}/r.txt", 1),)) for job in jobs
    ]
    other = finding("backend-x", component="api", message="another")
    text = terminal(report(*same, other))
    assert text.count("✗ GAP") == 2
    assert "8 components: " + ", ".join(jobs) in " ".join(text.split())
    assert all(f"{job}/r.txt:1" in text for job in jobs)
    assert "9 gaps (9 high)" in text


def test_evidence_remedies_and_diffs_are_capped_unless_verbose() -> None:
    diff = "\n".join(f"+line {number}" for number in range(40))
    many = [
        finding(component=f"c{n:02}", evidence=(Evidence(f"f{n}.py", n + 1),), remedy=Remedy(f"fix c{n}", diff=diff))
        for n in range(12)
    ]
    short, full = (terminal(report(*many), verbose=verbose) for verbose in (False, True))
    assert "… 4 more (all of them: --format json)" in short
    assert "… 8 more like it" in short
    assert "… 24 more lines" in short
    assert "f11.py:12" not in short
    assert "f11.py:12" in full
    assert "…" not in full
    assert full.count("+line 39") == 12


def test_the_same_unknown_is_said_once() -> None:
    same = {"message": "not asked: --offline", "hint": "run without --offline"}
    unknowns = [finding(check, Status.UNKNOWN, owner, **same) for owner in ("api", "worker") for check in ("a", "b")]
    text = terminal(report(*unknowns, finding("c", Status.UNKNOWN, message="other")))
    assert text.count("not asked: --offline") == 1
    assert "? unknown  a, b · api, worker\n" in text
    assert "? unknown  c · api\n" in text
    assert "5 unknown" in text


def test_crashes_have_a_head_of_their_own() -> None:
    text = terminal(report(finding("a", Status.ERROR, message="boom"), finding("b", Status.UNKNOWN)))
    assert text.index("Not decided") < text.index("Checks that crashed") < text.index("! error    a · api")
    assert "1 unknown · 1 error" in text


def test_passed_and_skipped_only_on_request() -> None:
    audited = report(finding("ok", Status.PASS), finding("na", Status.SKIPPED, message="skipped: no cloud"))
    assert "Passed" not in terminal(audited)
    text = terminal(audited, show_passed=True)
    assert "✓ pass     ok · api  message of ok" in text
    assert "– skipped  na · api  no cloud" in text


def test_one_component_is_not_named_again() -> None:
    text = terminal(report(finding(), components=(component("api"),)))
    assert "✗ GAP  backend-x   high\n" in text
    assert "1 check · 1 component\n" in text


def test_several_reports_follow_each_other() -> None:
    text = terminal(report(), report(environment="production"))
    assert text.index("staging · shop") < text.index("─" * 80) < text.index("production · shop")


def test_an_empty_report_is_still_a_page() -> None:
    text = terminal(report(components=(), root="/", environment="", ready=True, headline="", exit_code=3))
    assert "✓ READY\n" in text
    assert "no check was run\nexit 3\n" in text


# --- json ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reports",
    [
        (report(components=()),),
        (rich_report(),),
        (secret_report(),),
        (rich_report(), secret_report()),
        (),
    ],
)
def test_json_follows_its_schema(reports: tuple[Report, ...]) -> None:
    Draft202012Validator.check_schema(output_schema())
    VALIDATOR.validate(as_json(*reports))


def test_json_says_what_was_found() -> None:
    document = as_json(rich_report())
    assert list(document)[:4] == ["schema_version", "tool", "root", "environment"]
    assert document["tool"] == {"name": "sentry-audit", "version": __version__}
    assert document["verdict"] == {"ready": False, "headline": "api cannot report errors"}
    assert document["components"][0]["chain"][0]["evidence"][0]["path"] == "services/api/requirements.txt"
    assert document["counts"] == {"pass": 1, "gap": 2, "unknown": 1, "skipped": 1, "waived": 1, "error": 1}
    found = {item["check"]: item for item in document["findings"]}
    assert found["backend-gap"]["evidence"][3]["saw"] == "\tindented\x1b[31m red \u202e reversed \udc80 lone"
    assert found["backend-gap"]["link"] == "sdk"
    assert found["backend-gap"]["remedy"]["fixable"] is True
    assert found["backend-low"]["remedy"] is None
    assert found["backend-low"]["waiver"] is None
    assert document["problems"][0]["kinds"] == ["a", "b"]


def test_json_order_does_not_depend_on_the_order_of_findings() -> None:
    first = rich_report()
    second = replace(first, findings=first.findings[::-1], problems=first.problems[::-1])
    assert as_json(first) == as_json(second)


def test_json_leaves_no_key_in_any_string() -> None:
    def strings(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        elif isinstance(node, list | dict):
            for item in node.values() if isinstance(node, dict) else node:
                yield from strings(item)

    told = [text for text in strings(as_json(secret_report())) if "sentry.io" in text]
    assert len(told) > 60
    assert all(redact(DSN) in text and KEY not in text for text in told)


def test_several_environments_are_one_document() -> None:
    document = as_json(report(exit_code=4), report(environment="production", exit_code=0))
    assert [item["environment"] for item in document["environments"]] == ["staging", "production"]
    assert document["environments"][0] == as_json(report(exit_code=4))
    assert document["exit_code"] == 4


@pytest.mark.parametrize(
    ("codes", "together"),
    [((0, 0), 0), ((0, 4), 4), ((4, 1), 1), ((1, 4, 0), 1), ((0, 3), 3), ((3, 4), 4), ((1, 70), 70), ((), 3)],
)
def test_the_gravest_exit_code_counts(codes: tuple[int, ...], together: int) -> None:
    assert exit_code([report(exit_code=code) for code in codes]) == together


def objects(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every object in a document."""
    if isinstance(node, dict):
        yield path
    if isinstance(node, dict | list):
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            yield from objects(item, (*path, key))


def at(node: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


@pytest.mark.parametrize("reports", [(rich_report(),), (report(), report())])
def test_the_schema_wants_every_key_and_no_other(reports: tuple[Report, ...]) -> None:
    document = as_json(*reports)
    for path in objects(document):
        for key in at(document, path):
            mutant = copy.deepcopy(document)
            del at(mutant, path)[key]
            assert not VALIDATOR.is_valid(mutant), (path, key)
        mutant = copy.deepcopy(document)
        at(mutant, path)["surprise"] = 1
        assert not VALIDATOR.is_valid(mutant), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("tool", "name"), "other"),
        (("verdict", "ready"), "yes"),
        (("findings", 0, "status"), "fail"),
        (("findings", 0, "severity"), "critical"),
        (("findings", 0, "confidence"), None),
        (("findings", 0, "link"), "network"),
        (("findings", 0, "check"), ""),
        (("findings", 0, "evidence", 0, "line"), 0),
        (("findings", 0, "evidence", 0, "line"), "3"),
        (("findings", 0, "remedy", "safety"), "risky"),
        (("findings", 0, "waiver"), "later"),
        (("components", 0, "chain", 0, "status"), "ok"),
        (("components", 0, "chain", 0, "link"), None),
        (("components", 0, "name"), None),
        (("problems", 0, "kinds"), ["a", "a"]),
        (("counts", "gap"), -1),
        (("exit_code",), 7),
        (("exit_code",), None),
    ],
)
def test_the_schema_refuses_wrong_values(path: tuple[str | int, ...], value: object) -> None:
    document = as_json(rich_report())
    at(document, path[:-1])[path[-1]] = value
    assert not VALIDATOR.is_valid(document)


# --- plugins ------------------------------------------------------------------------------------


def test_formats_are_found_by_folder() -> None:
    assert set(plugins.names(reporters)) >= {"json", "terminal"}
    assert set(plugins.names(reporters)).isdisjoint({"base", "schema", "json_"})
    assert list(plugins.names("sentry_audit.reporters")) == sorted(plugins.names(reporters))
    assert list(FORMATS) == list(plugins.names(reporters))
    assert plugins.load(reporters, "json").REPORTER is FORMATS["json"]


def test_an_unknown_format_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(LookupError, match=r"'yaml'.*json, .*terminal"):
        plugins.load(reporters, "yaml")


def test_discovery_passes_over_modules_without_the_attribute() -> None:
    assert plugins.discover(reporters, "NO_SUCH_THING") == {}


def test_a_format_costs_only_its_own_import() -> None:
    code = (
        "import sys; from sentry_audit import plugins\n"
        "plugins.names('sentry_audit.reporters')\n"
        "assert not any(m.startswith('sentry_audit.reporters.') for m in sys.modules)\n"
        "plugins.load('sentry_audit.reporters', 'json')\n"
        "assert 'sentry_audit.reporters.terminal' not in sys.modules\n"
        "plugins.load('sentry_audit.reporters', 'terminal')\n"
        "assert not any(m == 'rich' or m.startswith('rich.') for m in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
