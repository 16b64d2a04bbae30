"""Consent, and where the DSN comes from: what is asked, and what no message may say."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sentry_audit.applying.consent import Group, Terminal, consent, terminal
from sentry_audit.applying.dsn_source import dsn_source
from sentry_audit.errors import UsageError
from tests.plans import DSN, KEY, LIVE, plan, step

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sentry_audit.fixing import Plan

GROUPS = (
    Group(safety="safe", count=1, shown="SAFE", diff="SAFE DIFF"),
    Group(safety="review", count=2, shown="REVIEW", diff="REVIEW DIFF"),
    Group(safety="live", count=4, shown="LIVE"),
)
STEPS = (
    step(("a", "a", "b"), safety="safe", summary="one"),
    step(("a", "b", "c"), summary="two"),
    step(("c", None, "c"), summary="three"),
    *LIVE,
)


class Person:
    """Gives ``answers``, one after the other, and keeps what was said and asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []
        self.terminal = Terminal(self.ask, self.heard.append)

    def ask(self, question: str) -> str | None:
        self.heard.append(question)
        return self.answers.pop(0) if self.answers else None


def summaries(found: Plan) -> list[str]:
    return [item.summary for item in found.steps if item.safety != "live"] + ["live"] * any(
        item.safety == "live" for item in found.steps
    )


def agree(
    person: Person, agreed: Collection[str] = (), environment: str = "staging", confirmed: tuple[str, ...] = ()
) -> Plan:
    wanted = plan(*STEPS, environment=environment)
    return consent(wanted, GROUPS, agreed=agreed, confirmed=confirmed, person=person.terminal)


def test_each_group_is_shown_and_asked_for() -> None:
    person = Person("y", "d", "YES", "y")
    assert summaries(agree(person)) == ["one", "two", "three", "live"]
    assert person.heard == [
        *("SAFE", "Apply this change? [y/N/d(iff)] "),
        *("REVIEW", "Apply these 2 changes? [y/N/d(iff)] ", "REVIEW DIFF", "Apply these 2 changes? [y/N/d(iff)] "),
        *("LIVE", "Apply these 4 changes? [y/N/d(iff)] "),
    ]


@pytest.mark.parametrize("no", ["", "n", "no", "x", "yep"])
def test_anything_but_yes_is_no_and_leaves_what_builds_on_it(no: str) -> None:
    found = agree(Person(no, "y", "n"))
    assert summaries(found) == ["three"]
    assert [left.reason for left in found.left] == [
        "you did not agree to this change",
        "it builds on a change that you did not agree to",
        *["you did not agree to this change"] * 4,
    ]


def test_what_was_agreed_to_before_is_not_asked_for() -> None:
    person = Person()
    assert summaries(agree(person, {"safe", "review", "live"})) == ["one", "two", "three", "live"]
    assert person.heard == ["SAFE", "REVIEW", "LIVE"]
    with pytest.raises(UsageError, match="nobody to ask"):
        agree(Person(), {"safe"})


@pytest.mark.parametrize("environment", ["production", "prod"])
def test_production_is_named(environment: str) -> None:
    everything = {"safe", "review", "live"}
    with pytest.raises(UsageError, match="shop-staging is changed only") as caught:
        agree(Person(), everything, environment)
    assert caught.value.hint == "--confirm-project shop-staging"
    assert summaries(agree(Person("shop-staging"), everything, environment)) == ["one", "two", "three", "live"]
    assert summaries(agree(Person("y"), everything, environment)) == ["one", "two", "three"]
    assert "live" in summaries(agree(Person(), everything, environment, ("shop-staging",)))
    with pytest.raises(UsageError):
        agree(Person(), everything, environment, ("shop",))


def test_ctrl_c_at_a_question_ends_it() -> None:
    def ask(_: str) -> str | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consent(plan(*STEPS), GROUPS, agreed=(), confirmed=(), person=Terminal(ask, lambda _: None))


def test_a_terminal_is_asked_only_if_somebody_sits_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert terminal().ask("?") is None
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    here = terminal()
    assert (here.ask("sure? "), here.ask("sure? ")) == ("y", None)
    here.say("shown")
    assert capsys.readouterr().err == "sure? sure? shown\n"


# --- the DSN ---------------------------------------------------------------------------------------


def test_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DSN", DSN)
    give = dsn_source("env:MY_DSN", lambda _: None)
    monkeypatch.setenv("MY_DSN", "read again")
    with pytest.raises(UsageError):
        give()
    monkeypatch.setenv("MY_DSN", DSN)
    assert give() == DSN
    monkeypatch.delenv("MY_DSN")
    assert give() == DSN
    with pytest.raises(UsageError, match="MY_DSN is not set"):
        dsn_source("env:MY_DSN", lambda _: None)()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_with_and_without_a_newline(tmp_path: Path, end: str) -> None:
    (tmp_path / "dsn").write_bytes((DSN + end).encode())
    said: list[str] = []
    assert dsn_source(f"file:{tmp_path}/dsn", said.append)() == DSN
    assert len(said) == bool(end)
    with pytest.raises(UsageError, match="No such file"):
        dsn_source(f"file:{tmp_path}/no", said.append)()


@pytest.mark.parametrize(
    "value",
    [
        f"{DSN}\n\n",
        f" {DSN}",
        f'"{DSN}"',
        DSN.replace("/451", "/"),
        f"{DSN},{DSN}",
        "",
        KEY,
        DSN.replace("https", "HTTPS"),
    ],
)
def test_values_that_are_refused_are_not_shown(tmp_path: Path, value: str) -> None:
    (tmp_path / "dsn").write_text(value)
    with pytest.raises(UsageError, match="cannot be used") as caught:
        dsn_source(f"file:{tmp_path}/dsn", lambda _: None)()
    assert KEY not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "spec", [DSN, f"env:{DSN}", f"file:{DSN}", KEY, f"env:{KEY}-x", f"dsn:{KEY}", "", "env:", "file:", "-x"]
)
def test_a_dsn_on_the_command_line_is_refused_without_an_echo(spec: str) -> None:
    with pytest.raises(UsageError, match="--dsn-from") as caught:
        dsn_source(spec, lambda _: None)
    assert KEY not in caught.value.message + caught.value.hint
    assert "env:NAME" in caught.value.hint


def test_standard_input_and_the_prompt() -> None:
    code = "import sys\nfrom sentry_audit.applying.dsn_source import dsn_source\nprint(len(dsn_source(sys.argv[1], print)()))"

    def call(spec: str, **named: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, spec], text=True, capture_output=True, check=False, **named)  # type: ignore[call-overload, no-any-return]

    assert call("-", input=DSN + "\n").stdout == f"the newline at the end of standard input is left out\n{len(DSN)}\n"
    nobody = call("prompt", input=DSN + "\n", start_new_session=True)
    assert "UsageError: there is no terminal" in nobody.stderr
    ours, theirs = pty.openpty()
    call_ = [sys.executable, "-c", code, "prompt"]
    pipe = subprocess.PIPE
    with subprocess.Popen(call_, stdin=theirs, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as typing:
        assert typing.stdout is not None
        assert typing.stderr is not None
        assert typing.stderr.read(3) == "DSN"  # what is typed before the question is thrown away
        os.write(ours, f"{DSN}\n".encode())
        assert typing.stdout.read() == f"{len(DSN)}\n"
        assert KEY not in typing.stderr.read()
    os.close(ours)
    os.close(theirs)
