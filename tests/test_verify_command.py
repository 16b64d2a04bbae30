"""The command ``verify``: consent, the interpreter's environment, the report in every form, the lock file."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sentry_audit.app import shipped_checks
from sentry_audit.facts import Component
from sentry_audit.proofs import NAMES, judge
from sentry_audit.python.components import FRAMEWORKS
from sentry_audit.python.factories import application
from sentry_audit.python.module import Module
from sentry_audit.reporters.schema import output_schema
from sentry_audit.seen import Expected, Observed, Probe, Stop
from sentry_audit.verifying.booting import HOOK
from sentry_audit.verifying.plan import plan
from sentry_audit.verifying.variables import python_environment
from sentry_audit.wire import Sent, leaks, paths
from tests.verifying import copied, prove

if TYPE_CHECKING:
    from collections.abc import Iterator


IBAN = "    event['extra'] = {'iban': 'DE02'}\n    event.pop"


def verify(root: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sentry_audit", "verify", str(root), "--env", "staging", "--python", sys.executable]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run([*argv, *words], capture_output=True, text=True, input=stdin, env=environment, timeout=120)


def test_nothing_is_executed_without_consent(tmp_path: Path) -> None:
    root = copied("flask", tmp_path, {"shop.py": ("import os\n", "import os\nopen('executed', 'w').close()\n")})
    done = verify(root, stdin="")
    assert done.returncode == 2
    assert "pass --yes" in done.stderr
    assert "-m gunicorn" in done.stderr
    assert "SENTRY_DSN (a stand-in)" in done.stderr
    assert not (root / "executed").exists()


def test_the_report_is_that_of_every_command(tmp_path: Path) -> None:
    root = copied("fastapi", tmp_path, {"app/telemetry.py": ('os.environ.get("SENTRY_DSN")', '""')})
    file = tmp_path / "report.json"
    done = verify(root, "--yes", "--format", f"json={file}", "--format", "terminal")
    assert done.returncode == 1, done.stderr
    report = json.loads(file.read_text())
    jsonschema.validate(report, output_schema())
    assert {item["check"] for item in report["findings"]} == {f"proof-{name}" for name in NAMES}
    (first,) = (item for item in report["findings"] if item["check"] == "proof-init")
    assert (first["status"], first["area"], first["severity"]) == ("gap", "proof", "high")
    assert first["evidence"][0]["path"] == "app/telemetry.py"
    chain = {link["link"]: link["status"] for link in report["components"][0]["chain"]}
    assert chain["accepted"] == "gap"
    assert chain["secret"] == "unknown"
    assert "init got no DSN" in report["verdict"]["headline"]
    assert "proof-init" in done.stdout


@pytest.mark.parametrize(("name", "deployed"), [("fastapi", True), ("flask", False)])
def test_a_deployment_is_proven_only_by_what_it_passes_itself(tmp_path: Path, name: str, deployed: bool) -> None:
    """The flask application has no deployment: its DSN was made up, and says nothing of one."""
    done = verify(copied(name, tmp_path), "--yes", "--select", "proof-init,proof-error", "--format", "json")
    chain = {link["link"]: link for link in json.loads(done.stdout)["components"][0]["chain"]}
    assert [chain[link]["status"] for link in ("sdk", "init", "dsn", "accepted")] == ["pass"] * 4
    assert chain["deploy"]["status"] == ("pass" if deployed else "unknown")


def test_what_leaves_is_written_down_and_compared(tmp_path: Path) -> None:
    root = copied("flask", tmp_path)
    assert "does not exist" in verify(root, "--yes", "--locked").stderr
    quick = ("--yes", "--ignore", "proof-shutdown")
    done = verify(root, *quick, "--record")
    assert done.returncode == 0, done.stdout
    lock = (root / "sentry-audit.lock").read_text()
    known = json.loads(lock)["leaves"]["app@staging"]["paths"]
    assert "event.exception.values[].type" in known
    assert verify(root, *quick, "--locked").returncode == 0
    (root / "shop.py").write_text((root / "shop.py").read_text().replace("    event.pop", IBAN))
    done = verify(root, *quick, "--locked")
    assert done.returncode == 1
    assert "event.extra.iban" in done.stdout
    assert (root / "sentry-audit.lock").read_text() == lock


def test_check_judges_no_proofs(tmp_path: Path) -> None:
    root = copied("flask", tmp_path)
    argv = [sys.executable, "-m", "sentry_audit", "check", str(root), "--offline"]
    done = subprocess.run([*argv, "--format", "json"], capture_output=True, text=True, check=False)
    assert not [item for item in json.loads(done.stdout)["findings"] if item["check"].startswith("proof-")]
    done = subprocess.run([*argv, "--select", "proof-init"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "sentry-audit verify" in done.stderr


def test_every_proof_has_its_check() -> None:
    checks = {check.id: check for check in shipped_checks(examples=False) if check.subject == "proof"}
    assert set(checks) == {f"proof-{name}" for name in NAMES}
    assert all(check.area == "proof" for check in checks.values())


@pytest.mark.parametrize("path", sorted(Path(HOOK).glob("*.py")), ids=lambda path: path.name)
def test_what_runs_in_the_application_is_python_3_8_and_needs_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {item.name.split(".")[0] for node in top if isinstance(node, ast.Import) for item in node.names}
    names |= {(node.module or "").split(".")[0] for node in top if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name not in sys.stdlib_module_names and not name.startswith("sentry_audit_")}


def test_the_sitecustomize_of_others_runs_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.theirs = True\n")
    records = tmp_path / "records.jsonl"
    environment = {
        "PYTHONPATH": os.pathsep.join([HOOK, str(tmp_path)]),
        "SENTRY_AUDIT_VERIFY": json.dumps({"records": str(records), "dsn": "http://k@127.0.0.1:9/1"}),
    }
    done = subprocess.run(
        [sys.executable, "-c", "print(theirs)"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr
    assert [json.loads(line)["kind"] for line in records.read_text().splitlines()] == ["hello"]


def test_of_the_callers_variables_only_what_a_process_needs_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRY_DSN", "https://0123456789abcdef0123456789abcdef@o1.ingest.us.sentry.io/1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    passed = python_environment({"SHOP": "1", "PORT": "8080"}, HOOK, "{}", 7)
    assert not {"SENTRY_DSN", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"} & passed.keys()
    assert (passed["SHOP"], passed["PORT"], passed["PYTHONPATH"]) == ("1", "7", HOOK)


def component(*start: str, entry: str = "api/app/main.py:app", **fields: Any) -> Component:
    return Component(name="api", path="api", entry_point=entry, start=start, **fields)


@pytest.mark.parametrize(
    ("start", "argv"),
    [
        (("uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8080", "--workers", "4", "--proxy-headers"),
         "-m uvicorn app.main:app --proxy-headers --host 127.0.0.1 --port 7 --loop asyncio"),
        (("gunicorn", "-w", "4", "-k", "uvicorn.workers.UvicornWorker", "--bind=:8080", "app.main:app"),
         "-m gunicorn -k uvicorn.workers.UvicornWorker app.main:app -b 127.0.0.1:7 -w 1"),
        (("sh", "-c", "alembic upgrade head && exec uvicorn app.main:app --port ${PORT}"),
         "-m uvicorn app.main:app --host 127.0.0.1 --port 7 --loop asyncio"),
        (("python", "-m", "hypercorn", "app.main:app", "-b", "0.0.0.0:80"), "-m hypercorn app.main:app -b 127.0.0.1:7 -w 1"),
        ((), "-m uvicorn app.main:app --host 127.0.0.1 --port 7 --loop asyncio"),
        (("fastapi", "run", "app/main.py", "--workers=4", "--port", "80"), "-m fastapi run app/main.py --host 127.0.0.1 --port 7"),
    ],
    ids=["uvicorn", "gunicorn", "shell", "module", "object", "fastapi"],
)  # fmt: skip
def test_it_is_started_as_it_is_deployed_but_here(start: tuple[str, ...], argv: str) -> None:
    boot = plan(component(*start, framework="fastapi"), "py", 7)
    assert " ".join(boot.argv) == f"py {argv}"
    assert boot.folder == "api"


def test_an_object_whose_name_was_not_found_is_called_as_nearly_all_are() -> None:
    boot = plan(component(entry="api/app/main.py", framework="fastapi"), "py", 7)
    assert "app.main:app" in boot.argv
    assert any("app of api/app/main.py is served" in note for note in boot.notes)


def test_a_worker_gets_a_broker_in_its_memory() -> None:
    boot = plan(
        component("celery", "-A", "tasks", "worker", "-c", "8", "-B", entry="api/tasks.py", role="worker"), "py", 7
    )
    assert " ".join(boot.argv) == (
        "py -m celery -A tasks -b memory:// --result-backend disabled:// worker --concurrency 1 --without-gossip --without-mingle"
    )


@pytest.mark.parametrize(
    ("entry", "start", "role", "words"),
    [
        ("api/job.py", ("python", "job.py"), "job", "name it to have it executed (--component api)"),
        ("api/work.py", ("rq", "worker"), "worker", "no worker of rq: nothing of it is executed"),
        ("api/app/factory.py", (), "service", "--command"),
    ],
)
def test_what_verify_cannot_drive_is_not_executed(entry: str, start: tuple[str, ...], role: str, words: str) -> None:
    boot = plan(component(*start, entry=entry, role=role, server=start[0] if start else ""), "py", 7)
    assert not boot.argv
    assert words in boot.unknown
    proofs = judge(Observed(failure=boot.unknown), Expected(component="api", environment="staging"))
    assert all(item.unknown and not item.problem for item in proofs)


def event(text: dict[str, Any]) -> Sent:
    return Sent("event", text, json.dumps(text))


def test_a_leak_is_found_in_every_form_of_writing_and_named_by_its_path() -> None:
    canaries = {"e-mail": "em@mail.example", "token": "tk12", "password": "pw34"}
    sent = [
        event({"request": {"query_string": "contact=em%40mail.example"}, "values": [{"vars": {"a": ["x tk12 y"]}}]}),
        event({"extra": {"tk12": 1}}),
    ]
    assert leaks(sent, canaries) == {
        "e-mail": ["event.request.query_string"],
        "token": ["event.values[].vars.a[]", "event.extra.tk12"],
    }
    assert paths(sent) == ("event.extra.tk12", "event.request.query_string", "event.values[].vars.*")


def observed(**fields: Any) -> Observed:
    init = {
        "kind": "init",
        "transport": "HttpTransport",
        "had_dsn": True,
        "file": "app.py",
        "line": 3,
        "integrations": ["flask"],
    }
    records = ({"kind": "hello"}, {"kind": "sdk", "version": "2.75.0"}, init, *fields.pop("more", ()))
    probe = Probe(name="error", id="0123456789abcdef", status=500, what="an error")
    return Observed(**{"records": records, "probes": (probe,), "framework": "flask", **fields})


def reasons(seen: Observed, **fields: Any) -> Iterator[tuple[str, str]]:
    for item in judge(seen, Expected(**{"component": "api", "environment": "staging", **fields})):
        if item.problem:
            yield item.name, item.reason


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([{"kind": "hook-dropped", "option": "before_send", "name": "scrub"}, {"kind": "captured", "sent": False}], "before-send-dropped"),
        ([{"kind": "hook-raised", "option": "before_send", "name": "scrub", "error": "KeyError", "message": "'x'"}], "before-send-raised"),
        ([{"kind": "lost", "reason": "sample_rate", "category": "error"}, {"kind": "captured", "sent": False}], "sampled-out"),
        ([{"kind": "ignored"}, {"kind": "captured", "sent": False}], "ignored"),
        ([{"kind": "lost", "reason": "event_processor", "category": "error"}, {"kind": "captured", "sent": False}], "dropped"),
        ([{"kind": "captured", "sent": True}], "not-delivered"),
        ([], "not-captured"),
    ],
)  # fmt: skip
def test_why_an_error_did_not_arrive_is_told_from_what_was_written_down(records: list[Any], reason: str) -> None:
    seen = observed(more=tuple({**item, "probe": "0123456789abcdef"} for item in records))
    assert list(reasons(seen)) == [("error", reason)]


@pytest.mark.parametrize(
    "records", [[], [{"kind": "init", "had_dsn": False, "transport": "", "file": "app.py", "line": 1}]]
)
def test_where_it_is_not_known_what_is_passed_a_missing_variable_is_no_gap(records: list[Any]) -> None:
    seen = Observed(records=({"kind": "hello"}, {"kind": "sdk"}, *records))
    known: dict[str, Any] = {"component": "api", "environment": "staging", "condition": "settings.ENV != 'development'"}
    (reason,) = {item.reason for item in judge(seen, Expected(**known)) if item.problem}
    assert reason in {"disabled", "no-dsn"}
    proofs = judge(seen, Expected(**known, complete=False))
    assert not any(item.problem for item in proofs)
    assert all("--env-file" in item.unknown for item in proofs)


def test_what_was_written_down_of_another_error_explains_nothing() -> None:
    seen = observed(more=({"kind": "ignored", "probe": "fedcba9876543210"},))
    assert list(reasons(seen)) == [("error", "not-captured")]


def test_an_application_that_asks_for_a_sign_in_is_not_faulted() -> None:
    seen = observed(probes=(Probe(name="error", id="0123456789abcdef", status=401, what="an error"),))
    (error,) = (item for item in judge(seen, Expected(component="api", environment="staging")) if item.name == "error")
    assert "answered 401" in error.unknown
    assert "--header" in error.hint


def test_an_error_of_a_route_is_not_missed_where_traces_do_not_go_on() -> None:
    stray = event({"environment": "staging", "release": "r1", "exception": {"values": [{"value": "its own"}]}})
    data = {"message": "sentry-audit 0123456789abcdef", "environment": "staging", "release": "r1"}
    error = Probe(name="error", id="0123456789abcdef", status=500, what="an error")
    own = Probe(name="own", id="1" * 16, trace="2" * 32, status=502, what="GET /", how="route")
    assert ("handled-error", "not-captured") in list(reasons(observed(sent=(event(data),), probes=(error, own))))
    assert "handled-error" not in dict(reasons(observed(sent=(event(data), stray), probes=(error, own))))


def test_any_event_that_is_lost_at_the_end_counts() -> None:
    data = {"message": "sentry-audit 0123456789abcdef", "environment": "staging", "release": "r1"}
    seen = observed(sent=(event(data),), stop=Stop(raised=10, arrived=9, code=-15))
    assert ("shutdown", "lost-at-shutdown") in list(reasons(seen))
    proofs = judge(seen, Expected(component="api", environment="staging"))
    assert any("1 of 10 events" in item.problem for item in proofs)


def test_without_the_hook_nothing_is_judged() -> None:
    assert all(
        "cannot be watched" in item.unknown for item in judge(Observed(), Expected(component="a", environment="b"))
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("app = FastAPI()\n", ("app", False)),
        ("api: FastAPI = FastAPI()\n", ("api", False)),
        ("def create_app():\n    app = FastAPI()\n    return app\n", ("create_app", True)),
        ("def create_app(name='shop', *, debug=False):\n    return FastAPI()\n", ("create_app", True)),
        ("def create_app(settings):\n    return FastAPI()\n", ("", False)),
        ("def create_app(*, settings):\n    return FastAPI()\n", ("", False)),
        ("def make(settings):\n    return FastAPI()\n\nservice = make(1)\n", ("service", False)),
        ("class Shop:\n    def app(self):\n        return FastAPI()\n", ("", False)),
        ("x = 1\n", ("", False)),
    ],
)
def test_what_a_server_is_given_where_nothing_says_so(code: str, expected: tuple[str, bool]) -> None:
    module = Module.parse("main.py", f"from fastapi import FastAPI\n{code}")
    assert application(module, FRAMEWORKS) == expected


def test_a_factory_is_served_as_one() -> None:
    made = ("create_app", True)
    boot = plan(component(entry="api/app/main.py", framework="fastapi"), "py", 7, "", made)
    assert " ".join(boot.argv) == "py -m uvicorn --factory app.main:create_app --host 127.0.0.1 --port 7 --loop asyncio"
    boot = plan(component(entry="api/app/main.py", framework="flask"), "py", 7, "", made)
    assert boot.argv == ("py", "-m", "sentry_audit_serve", "app.main:create_app", "7")


def test_a_factory_without_a_start_command_is_found_and_booted(tmp_path: Path) -> None:
    root = copied("flask", tmp_path)
    (root / "Procfile").unlink()
    code = (root / "shop.py").read_text()
    before, body = code.split("sentry_sdk.init(", 1)
    inside = "".join(
        f"    {line}" if line.strip() else line for line in f"sentry_sdk.init({body}".splitlines(keepends=True)
    )
    (root / "shop.py").write_text(f"{before}def create_app(debug=False):\n{inside}\n    return app\n")
    found = prove(root, names=frozenset(NAMES))
    assert not found.red
    assert {"init", "error", "handled-error"} <= found.shown
    assert found.proofs["shutdown"].shown or found.proofs["shutdown"].reason == "no-server"


def test_what_was_started_ends_with_verify(tmp_path: Path) -> None:
    """A pipeline that is cancelled sends SIGTERM: nothing of the application runs on."""
    root = copied("flask", tmp_path)
    (root / "Procfile").write_text("web: python slow.py shop:app\n")
    (root / "slow.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    argv = [sys.executable, "-m", "sentry_audit", "verify", str(root), "--yes", "--command", "python slow.py"]
    verifying = subprocess.Popen(
        [*argv, "--python", sys.executable], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 20
    while not (root / "pid").exists() or not (root / "pid").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    started = int((root / "pid").read_text())
    verifying.terminate()
    assert verifying.wait(10) == -signal.SIGTERM
    while _runs(started):
        assert time.monotonic() < end
        time.sleep(0.05)


def _runs(number: int) -> bool:
    """Whether a process runs; one that is dead and not yet taken from the list does not."""
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
