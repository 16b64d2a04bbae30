"""Plans: what is kept, what is dropped and why, in which order, and what is left to people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sentry_audit import plugins
from sentry_audit.cloud_facts import Secret
from sentry_audit.facts import Component
from sentry_audit.fixing import Case, Change, Closed, Edit, Operation, Plan, Refusal
from sentry_audit.known_fixers import fixers
from sentry_audit.model import Evidence, Finding, Remedy, Severity, Status
from sentry_audit.planning import Audit, Scope, plan
from sentry_audit.python.program import Program
from tests.trees import Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sentry_audit.fixing import Fixer

_MARK = re.compile(r"([a-z-]+)([!?x.])")
_STATUS = {"!": Status.GAP, "?": Status.UNKNOWN, "x": Status.ERROR, ".": Status.PASS}


class Ground:
    """Texts in which ``check!`` is a gap, ``check?`` not decided, ``checkx`` a crash, ``check.`` passed."""

    def __init__(self, refused: str = "", **files: str) -> None:
        self.files = {name.replace("_", "."): text for name, text in files.items()}
        self.refused = refused
        self.audits = 0

    def text(self, path: str) -> str | None:
        return self.files.get(path)

    def refusal(self, edit: Edit) -> str:
        return "a symbolic link" if edit.path == self.refused else ""

    def audit(self, edits: Mapping[str, str | None]) -> Audit:
        self.audits += 1
        texts = {path: text for path, text in (self.files | dict(edits)).items() if text is not None}
        findings = [
            _finding(check, _STATUS[mark], path)
            for path, text in sorted(texts.items())
            for check, mark in _MARK.findall(text)
        ]
        cases = tuple(_case(item, texts) for item in findings if item.status is Status.GAP)
        return Audit(tuple(findings), cases)


def _finding(check: str, status: Status, path: str) -> Finding:
    return Finding(
        check=check,
        title=f"About {check}",
        area="backend",
        severity=Severity.HIGH,
        status=status,
        message=f"{check} is so in {path}",
        component="api",
        environment="staging",
        evidence=(Evidence(path),),
        remedy=Remedy(f"Mend {check}", command=f"sentry-audit explain {check}"),
    )


def _case(finding: Finding, texts: Mapping[str, str]) -> Case:
    return Case(
        finding=finding,
        bad=(Secret(name="s", command=f"gcloud mend {finding.check}"),),
        component=Component(name="api", path=""),
        environment="staging",
        facts=(),
        scanned=(),
        program=Program(Texts(texts)),
        table=None,  # type: ignore[arg-type]
    )


def edits(old: str, new: str, safety: str = "safe", **more: object) -> Fixer:
    """A fixer that puts ``new`` for ``old`` in the file of the gap."""

    def fixer(case: Case) -> Change:
        path = case.finding.evidence[0].path or ""
        text = case.files.text(path) or ""
        return Change(
            summary=f"will mend {case.finding.check} in {path}",
            safety=safety,
            edits=(Edit(path, text.replace(old, new, 1)),),
            **more,  # type: ignore[arg-type]
        )

    return fixer


def operates(*operations: Operation) -> Fixer:
    return lambda case: Change(summary=f"will do {case.finding.check}", safety="live", operations=operations)


def make(ground: Ground, known: dict[str, Fixer], **scope: object) -> Plan:
    return plan(ground, known, Scope(**scope), "staging", "1.0")  # type: ignore[arg-type]


def reasons(found: Plan) -> dict[str, str]:
    return {item.finding.check: item.reason for item in found.left}


def written(ground: Ground, found: Plan) -> dict[str, str | None]:
    """The files after the steps, each of which has to find what the one before it left."""
    texts: dict[str, str | None] = dict(ground.files)
    for change in (item for step in found.steps for item in step.files):
        assert texts.get(change.path) == change.before
        texts[change.path] = change.after
    return texts


def test_each_gap_is_closed_by_a_step_that_names_it() -> None:
    ground = Ground(one="a! b!", two="c!")
    found = make(ground, {"a": edits("a!", "a."), "b": edits("b!", "b."), "c": edits("c!", "c.")})
    assert [(step.summary, step.closes) for step in found.steps] == [
        ("will mend a in one", (Closed("a", "api"),)),
        ("will mend c in two", (Closed("c", "api"),)),
        ("will mend b in one", (Closed("b", "api"),)),
    ]
    assert written(ground, found) == {"one": "a. b.", "two": "c."}
    assert (found.left, found.environment, found.tool_version) == ((), "staging", "1.0")
    assert ground.audits == 3  # the tree as it is, and two rounds: the files of a and c are apart


def test_two_gaps_of_one_check_are_two_steps() -> None:
    ground = Ground(one="a!", two="a!")
    found = make(ground, {"a": edits("a!", "a.")})
    assert [[change.path for change in step.files] for step in found.steps] == [["one"], ["two"]]
    assert written(ground, found) == {"one": "a.", "two": "a."}


def test_what_a_change_closes_besides_its_own_is_said_of_that_change() -> None:
    ground = Ground(one="a! b!", two="c!")
    both: Fixer = lambda case: Change(summary="will mend both", safety="safe", edits=(Edit("one", "a. b."),))  # noqa: E731
    found = make(ground, {"a": both, "b": both, "c": edits("c!", "c.")})
    assert [(step.summary, step.closes) for step in found.steps] == [
        ("will mend both", (Closed("a", "api"), Closed("b", "api"))),
        ("will mend c in two", (Closed("c", "api"),)),
    ]


@pytest.mark.parametrize("spoilt", ["b!", "b?", "bx"])
def test_a_change_that_opens_another_gap_is_dropped_and_the_others_stay(spoilt: str) -> None:
    ground = Ground(one="a! b.", two="c!", three="d!")
    spoils: Fixer = lambda case: Change(summary="will mend a", safety="safe", edits=(Edit("one", f"a. {spoilt}"),))  # noqa: E731
    found = make(ground, {"a": spoils, "c": edits("c!", "c."), "d": edits("d!", "d.")})
    assert written(ground, found) == {"one": "a! b.", "two": "c.", "three": "d."}
    assert list(reasons(found)) == ["a"]
    assert reasons(found)["a"].startswith("mend a: it would open another: b (")


def test_one_gap_more_of_a_check_that_has_one_is_another_gap() -> None:
    found = make(Ground(one="a!", two="b!"), {"a": edits("a!", "b!")})
    assert not found.steps
    assert "it would open another: b (gap" in reasons(found)["a"]


def test_what_was_not_decided_may_turn_out_to_be_a_gap() -> None:
    ground = Ground(one="a! b?")
    found = make(ground, {"a": lambda case: Change(summary="will x", safety="safe", edits=(Edit("one", "a. b!"),))})
    assert written(ground, found) == {"one": "a. b!"}
    assert list(reasons(found)) == ["b"]


def test_a_change_that_does_not_close_its_gap_is_dropped() -> None:
    found = make(Ground(one="a!", two="b!"), {"a": edits("a!", "a! "), "b": edits("b!", "b.")})
    assert [step.closes for step in found.steps] == [(Closed("b", "api"),)]
    assert reasons(found) == {"a": "mend a in one: it does not close the gap: audited with it, the gap is still there"}


def test_a_change_is_tried_again_after_another_made_way_for_it() -> None:
    def second(case: Case) -> Change:
        text = case.files.text("one") or ""
        return Change(summary="will b", edits=(Edit("one", text.replace("b!", "b." if "a." in text else "b! ")),))

    ground = Ground(one="b! a!")
    found = make(ground, {"a": edits("a!", "a.", "review"), "b": second})
    assert written(ground, found) == {"one": "b. a."}
    assert not found.left


def test_what_cannot_be_proven_is_made_only_when_asked_for() -> None:
    known = {"a": edits("a!", "a?"), "b": edits("b!", "b.")}
    found = make(Ground(one="a!", two="b!"), known)
    assert [step.safety for step in found.steps] == ["safe"]
    assert "--unsafe" in reasons(found)["a"]
    ground = Ground(one="a!", two="b!")
    found = make(ground, known, unproven=True)
    assert [(step.summary, step.safety) for step in found.steps] == [
        ("will mend b in two", "safe"),
        ("will mend a in one", "unproven"),
    ]
    assert written(ground, found) == {"one": "a?", "two": "b."}
    assert not found.left


def test_what_a_change_brings_to_light_is_closed_with_it() -> None:
    ground = Ground(one="a!")
    known = {"a": edits("a!", "a. b!"), "b": edits("b!", "b. c!", "review"), "c": edits("c!", "c.")}
    [step] = make(ground, known).steps
    assert (step.safety, step.closes) == ("review", (Closed("a", "api"),))
    assert step.summary == "will mend a in one; will mend b in one; will mend c in one"
    assert [(change.before, change.after) for change in step.files] == [("a!", "a. b. c.")]
    assert reasons(make(Ground(one="a!"), {"a": known["a"]}))["a"].startswith("mend a in one: it would open another: b")


class Halves(Ground):
    """``pair`` is a gap while only one of ``a`` and ``b`` passes."""

    def audit(self, edits: Mapping[str, str | None]) -> Audit:
        told = super().audit(edits)
        done = [item.status is Status.PASS for item in told.findings if item.check in {"a", "b"}]
        status = Status.GAP if len(set(done)) > 1 else Status.PASS
        found = _finding("pair", status, "one")
        texts = {path: text for path, text in (self.files | dict(edits)).items() if text is not None}
        more = (_case(found, texts),) if status is Status.GAP else ()
        return Audit((*told.findings, found), (*told.cases, *more))


@pytest.mark.parametrize("files", [{"one": "a!", "two": "b!"}, {"one": "a! b!"}])
def test_what_only_stands_together_is_one_change(files: dict[str, str]) -> None:
    ground = Halves(**files)
    known = {"a": edits("a!", "a."), "b": edits("b!", "b.", "review")}
    [step] = make(ground, known).steps
    assert (step.safety, step.closes) == ("review", (Closed("a", "api"), Closed("b", "api")))
    assert written(ground, make(ground, known)) == {path: text.replace("!", ".") for path, text in files.items()}
    assert not make(ground, known).left


def test_what_spoils_even_together_is_left_with_what_each_would_open() -> None:
    ground = Halves(one="a!", two="b! c.")
    known = {"a": edits("a!", "a."), "b": edits("b! c.", "b. c!")}
    found = make(ground, known)
    assert not found.steps
    assert reasons(found)["a"].startswith("mend a in one: it would open another: pair (gap")
    assert reasons(found)["b"].startswith("mend b in two: it would open another: ")
    assert ground.audits == 5  # the tree, both at once, each alone, both as one: not again and again


def test_two_of_several_may_stand_together() -> None:
    ground = Halves(one="a!", two="x! b!", three="d!")
    spoils: Fixer = lambda case: Change(summary="will d", safety="safe", edits=(Edit("three", "d. pair!"),))  # noqa: E731
    found = make(ground, {"a": edits("a!", "a."), "b": edits("b!", "b."), "d": spoils})
    assert written(ground, found) == {"one": "a.", "two": "x! b.", "three": "d!"}
    assert reasons(found)["d"].startswith("d: it would open another: pair")


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("m.py", "a = 1  # a!\n", "a = (  # a.\n"),
        ("p.toml", "a = 1  # a!\n", "a = = 1  # a.\n"),
        ("p.json", '{"a": "a!"}', '{"a": "a."'),
        ("c.yaml", "a: b  # a!\n", "a: [b  # a.\n"),
        ("c.tsx", "const x = <a>1</a>; // a!\n", "const x = <a>1</b; // a.\n"),
        ("m.tf", 'a = "b" # a!\n', 'a = "b # a.\n'),
    ],
)
def test_what_would_not_parse_is_dropped_before_it_is_audited(path: str, before: str, after: str) -> None:
    ground = Ground()
    ground.files = {path: before}
    found = make(ground, {"a": lambda case: Change(summary="will a", safety="safe", edits=(Edit(path, after),))})
    assert not found.steps
    assert reasons(found)["a"].startswith(f"a: {path} would not parse any more: ")
    assert ground.audits == 1
    ground.files = {path: f"{before}\n}}]{{"}
    assert make(ground, {"a": edits("a!", "a.")}).steps, "a file that did not parse before is not held against the edit"


def test_a_file_that_must_not_be_edited_is_left_with_the_reason() -> None:
    found = make(Ground(refused="one", one="a!"), {"a": edits("a!", "a.")})
    assert reasons(found) == {"a": "mend a in one: one is not edited: a symbolic link"}


def test_why_gaps_are_left() -> None:
    def crashes(case: Case) -> Change:
        raise KeyError(case.finding.check)

    known: dict[str, Callable[[Case], Change | Refusal]] = {
        "refused": lambda case: Refusal(reason="two ways to do it", commands=("do this", "do that")),
        "crashes": crashes,
        "nothing": edits("x", "x"),
    }
    found = make(Ground(one="refused! crashes! nothing! manual! cloud!"), known, cloud_checks=frozenset({"cloud"}))
    assert {item.finding.check: (item.reason, item.commands) for item in found.left} == {
        "refused": ("two ways to do it", ("do this", "do that")),
        "crashes": ("its fix failed: KeyError: 'crashes'", ("sentry-audit explain crashes",)),
        "nothing": ("its fix changes nothing here", ("sentry-audit explain nothing",)),
        "manual": ("Mend manual", ("sentry-audit explain manual",)),
        "cloud": ("Mend cloud", ("gcloud mend cloud",)),
    }


def test_a_refused_fix_is_not_what_to_run_next() -> None:
    class Offering(Ground):
        def audit(self, edits: Mapping[str, str | None]) -> Audit:
            found = super().audit(edits)
            cases = tuple(replace(case, finding=_offered(case.finding)) for case in found.cases)
            return Audit(found.findings, cases)

    known: dict[str, Callable[[Case], Change | Refusal]] = {
        "refused": lambda case: Refusal(reason="two ways to do it"),
        "unproven": edits("unproven!", "unproven?"),
    }
    found = make(Offering(one="refused!", two="unproven!"), known)
    assert {item.finding.check: item.commands for item in found.left} == {
        "refused": ("sentry-audit explain refused",),
        "unproven": ("sentry-audit fix --only unproven --unsafe",),
    }


def _offered(finding: Finding) -> Finding:
    return replace(finding, remedy=Remedy("Mend it", fixable=True, command=f"sentry-audit fix --only {finding.check}"))


def test_only_what_is_wanted_is_fixed_or_left() -> None:
    ground = Ground(one="a! b! c!")
    found = make(ground, {"a": edits("a!", "a."), "b": edits("b!", "b.")}, wanted=frozenset({"b", "c"}))
    assert written(ground, found) == {"one": "a! b. c!"}
    assert list(reasons(found)) == ["c"]


def test_safe_changes_come_first_and_what_builds_on_a_reviewed_one_is_reviewed_too() -> None:
    def third(case: Case) -> Change | Refusal:
        text = case.files.text("one") or ""
        if "b." not in text:
            return Refusal(reason="not yet")
        return Change(summary="will c", safety="safe", edits=(Edit("one", text.replace("c!", "c.")),))

    ground = Ground(one="c! b! a!")
    found = make(ground, {"a": edits("a!", "a."), "b": edits("b!", "b.", "review"), "c": third})
    assert [(step.closes[0].check, step.safety) for step in found.steps] == [
        ("a", "safe"), ("b", "review"), ("c", "review"),
    ]  # fmt: skip
    assert written(ground, found) == {"one": "c. b. a."}


S = "projects/p/secrets/s"
API = "projects/p/locations/l/services/api"
CREATE = Operation(does="create-secret", resource=S, summary="will create s")
ADD = Operation(does="add-version", resource=S, summary="will add a version to s")
GRANT = Operation(does="grant", resource=S, member="serviceAccount:x", summary="will let x read s")


def update(*variables: tuple[str, str, str]) -> Operation:
    names = ", ".join(name for name, _, _ in variables)
    return Operation(
        does="update-service", resource=API, etag="e", variables=variables, summary=f"will give {names} to api"
    )


DSN = update(("SENTRY_DSN", "s", "latest"))


def test_operations_come_last_in_the_order_that_the_cloud_needs_each_once() -> None:
    label = update(("SENTRY_ENVIRONMENT", "", "staging"), ("SENTRY_DSN", "s", "latest"))
    route = Operation(does="route-traffic", resource=API, summary="will route")
    known = {
        "env": operates(route, DSN),
        "label": operates(label),
        "readable": operates(GRANT),
        "exists": operates(ADD, CREATE, GRANT),
        "file": edits("file!", "file.", "review"),
    }
    found = make(Ground(one="env! label! readable! exists! file!"), known)
    assert [(step.safety, step.summary) for step in found.steps] == [
        ("review", "will mend file in one"),
        ("live", "will create s"),
        ("live", "will add a version to s"),
        ("live", "will let x read s"),
        ("live", "will give SENTRY_DSN to api; will give SENTRY_ENVIRONMENT, SENTRY_DSN to api"),
        ("live", "will route"),
    ]
    assert all(not (step.files and step.operation) for step in found.steps)
    granted, updated = found.steps[3], found.steps[4]
    assert {item.check for item in granted.closes} == {"readable", "exists"}
    assert {item.check for item in updated.closes} == {"env", "label"}
    assert updated.operation is not None
    assert updated.operation.variables == (("SENTRY_DSN", "s", "latest"), ("SENTRY_ENVIRONMENT", "", "staging"))
    assert updated.operation.etag == "e"
    assert not found.left


def test_two_values_for_one_variable_are_left_to_a_person() -> None:
    found = make(Ground(one="a! b!"), {"a": operates(DSN), "b": operates(CREATE, update(("SENTRY_DSN", "t", "1")))})
    assert [step.operation for step in found.steps] == [DSN]
    assert "another value" in reasons(found)["b"]


def mixed(case: Case) -> Change:
    text = (case.files.text("one") or "").replace("later", "given")
    return Change(summary="will give both", safety="review", edits=(Edit("one", text),), operations=(DSN,))


def test_the_owner_is_edited_first_and_the_service_follows() -> None:
    ground = Ground(one="live! later")
    found = make(ground, {"live": mixed})
    assert [(step.safety, bool(step.files), step.operation) for step in found.steps] == [
        ("review", True, None), ("live", False, DSN),
    ]  # fmt: skip
    assert written(ground, found) == {"one": "live! given"}
    assert not found.left


def test_only_the_repository_or_only_the_cloud() -> None:
    known = {"live": mixed, "file": edits("file!", "file."), "cloud": operates(GRANT)}
    found = make(Ground(one="live! later file! cloud!"), known, cloud=False)
    assert [step.operation for step in found.steps] == [None, None]
    assert reasons(found) == {
        "live": "its files are edited; Google Cloud is left as it is (--repo)",
        "cloud": "its fix changes Google Cloud (--repo), which was left out",
    }
    found = make(Ground(one="live! later file! cloud!"), known, repo=False)
    assert [step.operation for step in found.steps] == [GRANT, DSN]
    assert reasons(found) == {"file": "its fix changes the repository (--cloud), which was left out"}


def test_what_an_edit_shows_of_the_cloud_is_not_held_against_it() -> None:
    drift, secret = frozenset({"drift"}), frozenset({"drift", "secret"})
    known = {"a": edits("a!", "a. drift! secret!"), "drift": edits("drift!", "drift."), "secret": operates(CREATE)}
    ground = Ground(one="a!")
    found = make(ground, known, cloud_checks=secret, deployed_later=drift)
    assert written(ground, found) == {"one": "a. drift! secret!"}
    assert [step.operation for step in found.steps] == [None, CREATE]
    assert not found.left
    assert not make(Ground(one="a!"), known | {"drift": lambda _: Refusal(reason="no")}, deployed_later=drift).steps
    assert [step.closes[0].check for step in make(Ground(one="drift!"), known, deployed_later=drift).steps] == ["drift"]


def test_fixers_of_one_check_are_asked_by_the_ecosystem_of_the_component(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def refuses(name: str, *commands: str) -> Fixer:
        def fixer(case: Case) -> Refusal:
            seen.append(name)
            return Refusal(reason=f"{name} refuses", commands=commands)

        return fixer

    modules: dict[str, dict[str, object]] = {
        "FIXERS": {
            "any": {"a": refuses("any"), "b": edits("b!", "b.")},
            "npm": {"a": edits("a!", "a."), "b": edits("b!", "b!!"), "c": edits("c!", "c.")},
            "pypi": {"a": refuses("pypi", "pip install")},
        },
        "ECOSYSTEM": {"npm": "npm", "pypi": "pypi"},
    }
    monkeypatch.setattr(plugins, "discover", lambda package, attribute: modules[attribute])
    ground = Ground(one="a! b! c!")
    found = make(ground, fixers())
    assert written(ground, found) == {"one": "a! b. c!"}
    assert {item.finding.check: (item.reason, item.commands[0]) for item in found.left} == {
        "a": ("pypi refuses", "pip install"),
        "c": ("Mend c", "sentry-audit explain c"),
    }
    assert seen[:2] == ["pypi", "any"]


def test_fixers_are_found_by_folder_and_fix_checks_that_exist() -> None:
    from sentry_audit.app import shipped_checks

    assert fixers().keys() <= {item.id for item in shipped_checks()}
