"""What planning does with a formatter: formatted texts are what is audited, and what spoils them is left and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.planning import Scope, plan
from sentry_audit.tidying import Formatted
from tests.test_planning import Ground, edits, written

if TYPE_CHECKING:
    from sentry_audit.fixing import Plan


class Format:
    """Gives each text that ``texts`` knows another one; keeps what it was asked."""

    def __init__(self, **texts: str | Formatted) -> None:
        self.texts = {key.replace("_", "."): text for key, text in texts.items()}
        self.asked: list[tuple[str, str | None, str]] = []

    def format(self, path: str, before: str | None, after: str) -> Formatted:
        self.asked.append((path, before, after))
        answer = self.texts.get(path, after + "~")
        return answer if isinstance(answer, Formatted) else Formatted(answer)


KNOWN = {"a": edits("a!", "a."), "b": edits("b!", "b."), "c": edits("c!", "c.", "review")}


def make(ground: Ground, form: Format) -> Plan:
    return plan(ground, KNOWN, Scope(), "staging", "1.0", form)


def test_the_last_text_of_each_class_is_formatted() -> None:
    ground, form = Ground(one="a! b! c!", two="b!"), Format()
    found = make(ground, form)
    assert form.asked == [
        ("one", "a! b! c!", "a. b. c!"), ("two", "b!", "b."), ("one", "a! b! c!", "a. b. c."),
    ]  # fmt: skip
    safe = {change.path: change.after for step in found.steps if step.safety == "safe" for change in step.files}
    assert safe == {"one": "a. b. c!~", "two": "b.~"}
    assert written(ground, found) == {"one": "a. b. c.~", "two": "b.~"}
    assert not found.notes


@pytest.mark.parametrize("spoilt", ["a. d!", "a!", "a?"])
def test_what_is_audited_worse_once_formatted_is_left_as_it_is(spoilt: str) -> None:
    ground = Ground(one="a!", two="b!")
    found = make(ground, Format(one=spoilt))
    assert written(ground, found) == {"one": "a.", "two": "b.~"}
    assert found.notes == ("not formatted: one: formatted, it would be audited worse",)
    assert not found.left


def test_what_would_not_parse_once_formatted_is_left_as_it_is() -> None:
    ground = Ground(m_py="x = 1  # a!\n")
    found = make(ground, Format(m_py="x = (  # a.\n"))
    assert written(ground, found) == {"m.py": "x = 1  # a.\n"}
    assert found.notes[0].startswith("not formatted: m.py: formatted, it would not parse any more: line 1")


def test_one_note_for_all_files_that_are_left_for_one_reason() -> None:
    ground = Ground(one="a! c!", two="b!", three="b!")
    ground.files = {f"web/{path}": text for path, text in ground.files.items()}
    form = Format()
    form.texts = {
        f"web/{path}": Formatted("", "no tool here", "tool --write", folder)
        for path, folder in (("one", "web"), ("two", "web"), ("three", ""))
    }
    found = make(ground, form)
    assert written(ground, found) == {"web/one": "a. c.", "web/two": "b.", "web/three": "b."}
    assert set(found.notes) == {
        "not formatted: web/one, web/two: no tool here; afterwards, run: (cd web && tool --write one two)",
        "not formatted: web/three: no tool here; afterwards, run: tool --write web/three",
    }


def test_a_tree_without_changes_asks_no_formatter() -> None:
    form = Format()
    assert not make(Ground(one="a."), form).steps
    assert not form.asked
