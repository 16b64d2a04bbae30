"""The check language: what a check file may say, and what is said about its mistakes."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from msgspec.structs import replace

from sentry_audit import app
from sentry_audit.app import checks_text, shipped_checks
from sentry_audit.auditing import fixable
from sentry_audit.catalogue import run_examples
from sentry_audit.checks import load
from sentry_audit.checks_schema import schema
from sentry_audit.engine import evaluate, exit_code, select
from sentry_audit.errors import ChecksFileError, UsageError
from sentry_audit.facts import Component, Dsn, Fact
from sentry_audit.model import Evidence, Problem, Severity, Status
from sentry_audit.predicates import OPERATORS, conditions, holds
from tests.trees import write

ROOT = Path(__file__).parent.parent

CHECK = """\
checks:
  - id: a-check
    title: A title
    area: backend
    severity: high
    each: dsn
    expect: {valid: true}
    message: "{shown} is {problem}"
    why: Because.
    examples:
      pass: [{facts: [{dsn: {shown: x, valid: true}}]}]
      fail: [{facts: [{dsn: {shown: x, valid: false}}]}]
"""
ME = Component(name="api", path=".", component="api")


def one(text: str = CHECK) -> tuple[object, ...]:
    return load(text, "checks.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("severity: high", "severity: hihg", r"checks.yaml:5: .*'hihg' is none of"),
        ("    title: A title\n", "", "title"),
        ("each: dsn", "each: dsns", "no fact kind 'dsns'"),
        ("expect: {valid: true}", "expect: {valied: true}", r"checks.yaml:7: .*has no field 'valied'"),
        ("expect: {valid: true}", "expect: {valid: {iss: true}}", "unknown operator 'iss'"),
        ("expect: {valid: true}", "expect: {shown: {matches: '('}}", "not a regular expression"),
        ("{problem}", "{proplem}", "is not a field"),
        ("    why:", "    whyy:", "unknown key 'whyy'"),
        ("id: a-check", "id: A check", "id"),
        ("checks:", "cheks:", "cheks|checks"),
        ("each: dsn", "each: dsn\n    some: dsn", "each"),
        ("pass: [", "passs: [", "passs"),
    ],
)
def test_mistakes_are_named_by_line_and_key(old: str, new: str, message: str) -> None:
    with pytest.raises(ChecksFileError, match=message) as caught:
        load(CHECK.replace(old, new), "checks.yaml")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "[]", "checks: 3", "a: [", "\x00", "checks: [1]", "checks: [{id: [1]}]"])
def test_files_that_are_no_check_files(text: str) -> None:
    with pytest.raises(ChecksFileError, match=r"checks\.yaml"):
        load(text, "checks.yaml")


def test_every_shipped_check_has_examples_and_all_of_them_hold() -> None:
    checks = shipped_checks()
    assert len(checks) == len({item.id for item in checks})
    for item in checks:
        assert item.examples["pass"], item.id
        assert item.examples["fail"], item.id
        assert item.why
        assert item.refs
        assert item.fix is not None
    assert [result for result in run_examples(checks) if result.problem] == []


def test_without_their_examples_the_shipped_checks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [replace(check, examples={}) for check in shipped_checks()]
    assert [replace(check, examples={}) for check in shipped_checks(examples=False)] == whole
    monkeypatch.setattr(app, "_parsed", lambda _: None)
    assert [replace(check, examples={}) for check in shipped_checks(examples=False)] == whole


def test_the_catalogue_is_there_as_json_and_only_for_the_text_that_it_was_made_of() -> None:
    assert app._parsed(checks_text()) is not None, "run: python scripts/generate_checks_data.py"
    assert app._parsed(checks_text() + "\n") is None


def test_what_can_be_fixed_is_listed_as_it_is() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "generate_checks_data.py"))
    assert sorted(fixable()) == script["fixable"](), "run: python scripts/generate_checks_data.py"


def test_an_audit_of_a_tree_without_yaml_loads_no_yaml_parser(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init()\napp = FastAPI()\n"
    )
    code = (
        "import sys\nfrom pathlib import Path\nfrom sentry_audit.app import Request, check\n"
        "check(Request(root=Path(sys.argv[1]), environments=('staging',)))\nprint('yaml' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_the_shipped_file_follows_the_published_schema() -> None:
    jsonschema.validate(yaml.safe_load(checks_text()), schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    json.dumps(schema())


def test_a_failing_example_is_told() -> None:
    wrong = CHECK.replace("shown: x, valid: false", "shown: x, valid: true")
    [good, bad] = run_examples(load(wrong, "checks.yaml"))
    assert (good.problem, bad.problem) == ("", "it gave pass")


@pytest.mark.parametrize(
    ("operator", "actual", "wanted", "result"),
    [
        ("is", 1, 1, True),
        ("is_not", 1, 1, False),
        ("in", "a", ["a"], True),
        ("not_in", "a", ["a"], False),
        ("at_least", 2, 2, True),
        ("at_most", 3, 2, False),
        ("above", 2, 2, False),
        ("below", 1, 2, True),
        ("at_least", None, 2, False),
        ("matches", "abc", "^a", True),
        ("contains", ("a", "b"), "b", True),
        ("empty", (), True, True),
        ("empty", "x", True, False),
        ("starts_with", "abc", "ab", True),
    ],
)
def test_operators(operator: str, actual: object, wanted: object, result: bool) -> None:
    assert OPERATORS[operator].holds(actual, wanted) is result


def test_conditions_read_as_written() -> None:
    fact = Dsn(shown="x", valid=True, host="h")
    assert holds(fact, conditions({"valid": True, "host": ["g", "h"], "shown": {"matches": "x"}}))
    assert not holds(fact, conditions({"valid": True, "host": ["g"]}))


def verdict(facts: list[Fact], problems: list[Problem] | None = None, text: str = CHECK) -> list[Status]:
    found = evaluate(load(text, "c"), [_mine(fact) for fact in facts], problems or [], [ME], "staging", required=True)
    return [item.status for item in found]


def _mine(fact: Fact) -> Fact:

    return replace(fact, component="api")


GOOD, BAD = Dsn(shown="g", valid=True), Dsn(shown="b", valid=False)
UNKNOWN = Dsn(shown="u", valid=False, unknown="not followed")
BLIND = Problem("repo", frozenset({"dsn"}), "unreadable", "chmod", Evidence(".env"))


def test_quantifiers() -> None:
    assert verdict([GOOD]) == [Status.PASS]
    assert verdict([GOOD, BAD]) == [Status.GAP]
    assert verdict([GOOD, BAD], text=CHECK.replace("each:", "some:")) == [Status.PASS]
    assert verdict([BAD], text=CHECK.replace("each:", "some:")) == [Status.GAP]
    assert verdict([BAD], text=CHECK.replace("each:", "none:")) == [Status.PASS]
    assert verdict([GOOD], text=CHECK.replace("each:", "none:")) == [Status.GAP]
    assert verdict([], text=CHECK.replace("each:", "none:")) == [Status.PASS]


def test_unknown_is_not_pass() -> None:
    assert verdict([UNKNOWN]) == [Status.UNKNOWN]
    assert verdict([GOOD, UNKNOWN]) == [Status.UNKNOWN]
    assert verdict([BAD, UNKNOWN]) == [Status.GAP]
    assert verdict([GOOD], [BLIND]) == [Status.UNKNOWN]
    assert verdict([], [BLIND]) == [Status.UNKNOWN]
    assert verdict([BAD], [BLIND]) == [Status.GAP]


def test_no_fact_at_all() -> None:
    assert verdict([]) == [Status.SKIPPED]
    gap = CHECK + "    absent: gap\n    absent_message: nothing in {component}\n"
    assert verdict([], text=gap) == [Status.GAP]


def test_a_check_that_crashes_is_an_error() -> None:
    # A comparison of a text with a number cannot be refused when the file is loaded.
    text = CHECK.replace("expect: {valid: true}", "expect: {shown: {above: 3}}")
    assert verdict([GOOD], text=text) == [Status.ERROR]


def test_a_check_of_low_confidence_is_never_a_gap() -> None:
    assert verdict([BAD], text=CHECK + "    confidence: low\n") == [Status.UNKNOWN]


def test_exit_codes() -> None:
    def code(
        status: Status, fail_on: Severity | None = Severity.MEDIUM, *, allow: bool = False, low: bool = False
    ) -> int:
        checks = load(CHECK.replace("high", "low") if low else CHECK, "c")
        facts = {Status.PASS: [GOOD], Status.GAP: [BAD], Status.UNKNOWN: [UNKNOWN]}[status]
        found = evaluate(checks, [_mine(fact) for fact in facts], [], [ME], "staging", required=True)
        return exit_code(found, fail_on, allow)

    assert code(Status.PASS) == 0
    assert code(Status.GAP) == 1
    assert code(Status.GAP, None) == 0
    assert code(Status.GAP, low=True) == 0
    assert code(Status.GAP, Severity.LOW, low=True) == 1
    assert code(Status.UNKNOWN) == 4
    assert code(Status.UNKNOWN, allow=True) == 0
    assert code(Status.UNKNOWN, low=True) == 0


def test_select() -> None:
    checks = shipped_checks()
    assert {item.id for item in select(checks, ["backend-sdk-*"], [])} == {
        "backend-sdk-declared",
        "backend-sdk-compatible",
        "backend-sdk-bounded",
    }
    assert all(item.area == "privacy" for item in select(checks, ["area:privacy"], []))
    assert all(item.severity is Severity.LOW for item in select(checks, ["severity:low"], []))
    assert len(select(checks, [], ["dsn-format"])) == len(checks) - 1
    with pytest.raises(UsageError) as caught:
        select(checks, ["dsn-fromat"], [])
    assert caught.value.hint == "did you mean dsn-format?"


def test_facts_compare_and_show_by_their_fields() -> None:
    assert Dsn(shown="a", valid=True) == Dsn(shown="a", valid=True)
    assert Dsn(shown="a", valid=True) != Dsn(shown="b", valid=True)
    assert len({Dsn(shown="a", valid=True), Dsn(shown="a", valid=True)}) == 1
    assert repr(Dsn(shown="a", valid=True)).startswith(
        "Dsn(component='', evidence=(), unknown='', hint='', needless='', shown='a'"
    )


# --- as its user makes mistakes ---------------------------------------------------------------------

HOST = """\
checks:
  - id: our-host
    title: DSNs lead to our own Sentry
    area: ours
    severity: high
    each: dsn
    expect: {host: {in: [sentry.shop.example]}}
    message: "{shown} leads to {host}"
    why: Events of customers stay with us.
    examples:
      pass:
        - facts: [{dsn: {shown: x, host: sentry.shop.example}}]
      fail:
        - facts: [{dsn: {shown: x, host: o1.ingest.sentry.io}}]
  - id: our-server-name
    title: init sets server_name
    area: ours
    severity: low
    each: sdk_init
    expect: {options: {contains: server_name}}
    message: "init of {component} has no server_name"
    why: We group by it.
    examples:
      pass:
        - files:
            requirements.txt: "sentry-sdk\\nfastapi\\n"
            main.py: "import sentry_sdk\\nfrom fastapi import FastAPI\\nsentry_sdk.init(server_name='x')\\napp = FastAPI()\\n"
      fail:
        - files:
            requirements.txt: "sentry-sdk\\nfastapi\\n"
            main.py: "import sentry_sdk\\nfrom fastapi import FastAPI\\nsentry_sdk.init()\\napp = FastAPI()\\n"
"""


def audit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sentry_audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_a_policy_and_an_option_are_checks_of_ones_own(tmp_path: Path) -> None:
    write(tmp_path, {"ours.yaml": HOST})
    done = audit("checks", "test", tmp_path / "ours.yaml")
    assert (done.returncode, done.stdout) == (0, "4 passed, 0 failed\n")


def test_all_mistakes_of_a_file_are_told_in_the_order_of_their_lines() -> None:
    text = HOST.replace("severity: high", "severty: high").replace("{host: {in:", "{hots: {ins:")
    text = text.replace("      pass:\n        - files", "      pas:\n        - files").replace(
        "id: our-server-name", "id: our-host"
    )
    with pytest.raises(ChecksFileError) as caught:
        load(text, "ours.yaml")
    rows = caught.value.message.splitlines()
    assert rows[0] == "5 mistakes in ours.yaml"
    lines = [int(row.split(":")[1]) for row in rows if row.startswith("  ours.yaml")]
    assert lines == sorted(lines)
    assert len(lines) == 5
    assert "  ours.yaml:5: checks[0].severty: unknown key 'severty'" in rows
    assert "    did you mean severity?" in rows
    assert "    did you mean host?" in rows
    assert "  ours.yaml:15: checks[1].id: 'our-host' is there twice" in rows


def test_a_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ChecksFileError, match=r"ours.yaml:\d+: checks\[0\].severity: the key 'severity' is there twice: lines 5 and 6"
    ):
        load(HOST.replace("    severity: high\n", "    severity: high\n    severity: low\n"), "ours.yaml")
    write(tmp_path, {"sentry-audit.yaml": "exclude: [a]\nexclude: [b]\n"})
    done = audit("check", tmp_path)
    assert done.returncode == 2
    assert "the key 'exclude' is there twice: lines 1 and 2" in done.stderr


def test_a_yaml_that_holds_itself_is_read_to_its_end() -> None:
    with pytest.raises(ChecksFileError, match="a check is a mapping, not list"):
        load("checks: &a\n- *a\n", "ours.yaml")


def test_a_tab_is_told_to_be_one(tmp_path: Path) -> None:
    write(tmp_path, {"ours.yaml": "checks:\n\t- id: x\n", "sentry-audit.yaml": "exclude:\n\t- x\n"})
    for done in (audit("checks", "validate", tmp_path / "ours.yaml"), audit("check", tmp_path)):
        assert done.returncode == 2
        assert ":2:1: " in done.stderr
        assert "indent with spaces: this line begins with a tab" in done.stderr


def test_an_example_that_does_not_fail_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"ours.yaml": HOST.replace("o1.ingest.sentry.io", "sentry.shop.example")})
    done = audit("checks", "test", tmp_path / "ours.yaml")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"✗ failed  our-host  {tmp_path}/ours.yaml:14  fail[0]: it gave pass, not a gap",
        "3 passed, 1 failed",
    ]


def test_what_the_settings_name_and_is_not_to_be_had(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "x = 1\n", "ours.yaml": HOST, "sentry-audit.yaml": "checks: [our.yaml]\n"})
    done = audit("checks", "list", tmp_path)
    assert done.returncode == 2
    assert "did you mean ours.yaml?" in done.stderr
    write(tmp_path, {"ours.yaml": HOST.replace("our-host", "dsn-format"), "sentry-audit.yaml": "checks: [ours.yaml]\n"})
    assert "ours.yaml:2: the check dsn-format exists already" in audit("checks", "list", tmp_path).stderr
