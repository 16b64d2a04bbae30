"""What ends an exception before Sentry sees it, and what does not. The verdicts are those of the real SDK."""

from __future__ import annotations

import pytest

from sentry_audit.python.capture import error_handlers
from sentry_audit.python.context import request_context
from sentry_audit.python.program import Program
from sentry_audit.python.shutdown import job_exit, shutdown
from tests.trees import Texts

FASTAPI = """\
from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse
import logging, sentry_sdk
logger = logging.getLogger(__name__)
app = FastAPI()
"""
FLASK = "from flask import Flask, abort, jsonify\nimport logging\nlog = logging.getLogger()\napp = Flask('x')\n"


def judged(code: str, version: str = "2.75.0", **more: str) -> list[tuple[str, bool | str]]:
    """(where, captures or why it is unknown) of each handler in ``code``."""
    files = {"main.py": code, **{f"{name}.py": text for name, text in more.items()}}
    found = error_handlers(Program(Texts(files)), ["main.py"], version)
    return [(item.where, item.unknown or item.captures) for item in found]


@pytest.mark.parametrize(
    ("handles", "body", "expected"),
    [
        ("Exception", "return JSONResponse({}, 500)", [True]),
        ("500", "return JSONResponse({}, 500)", [True]),
        ("AppError", "return JSONResponse({}, status_code=500)", [False]),
        ("AppError", "return JSONResponse({}, status_code=404)", []),
        ("AppError", "logger.exception('x')\n    return JSONResponse({}, status_code=500)", [True]),
        ("AppError", "logger.warning('x')\n    return JSONResponse({}, status_code=500)", [False]),
        ("AppError", "sentry_sdk.capture_exception(exc)\n    return JSONResponse({}, status_code=500)", [True]),
        ("AppError", "return JSONResponse({}, status_code=exc.status_code)", [True]),
        ("AppError", "return JSONResponse({}, status_code=status.HTTP_503_SERVICE_UNAVAILABLE)", [False]),
        ("RequestValidationError", "return JSONResponse({}, status_code=422)", []),
        ("HTTPException", "return JSONResponse({}, status_code=exc.status_code)", []),
    ],
)
def test_fastapi_handlers(handles: str, body: str, expected: list[bool]) -> None:
    code = f"{FASTAPI}class AppError(Exception): ...\n@app.exception_handler({handles})\nasync def h(request, exc):\n    {body}\n"
    assert [outcome for _, outcome in judged(code)] == expected


def test_a_handled_class_with_a_server_status_is_captured_before_its_handler() -> None:
    code = (
        f"{FASTAPI}class AppError(Exception):\n    status_code = 503\n"
        "@app.exception_handler(AppError)\nasync def h(request, exc):\n    return JSONResponse({}, status_code=503)\n"
    )
    assert judged(code) == [("exception_handler", True)]


def test_handlers_that_a_call_registers() -> None:
    code = (
        f"{FASTAPI}from handlers import h, AppError\napp.add_exception_handler(AppError, h)\n"
        "app2 = FastAPI(exception_handlers={AppError: h})\n"
    )
    handlers = (
        "from fastapi.responses import JSONResponse\nclass AppError(Exception): ...\n"
        "async def h(r, e):\n    return JSONResponse({}, status_code=500)\n"
    )
    assert judged(code, handlers=handlers) == [("exception_handler", False)] * 2


@pytest.mark.parametrize(
    ("handles", "body", "expected"),
    [
        ("Exception", "return jsonify(error=1), 500", [False]),
        ("500", "return jsonify(error=1), 500", [True]),
        ("KeyError", "return jsonify(error=1), 500", [False]),
        ("KeyError", "return jsonify(error=1), 404", []),
        ("Exception", "log.error('x')\n    return jsonify(error=1), 500", [True]),
    ],
)
def test_flask_handlers(handles: str, body: str, expected: list[bool]) -> None:
    assert [one for _, one in judged(f"{FLASK}@app.errorhandler({handles})\ndef h(e):\n    {body}\n")] == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("return JSONResponse({}, status_code=500)", [("route", False)]),
        ("raise HTTPException(status_code=500)", [("route", True)]),
        ("raise HTTPException(500) from e", [("route", True)]),
        ("raise HTTPException(status_code=404)", []),
        ("return {'ok': False}", []),
        ("logger.exception('x'); return JSONResponse({}, status_code=500)", [("route", True)]),
        ("report(e); return JSONResponse({}, status_code=502)", [("route", True)]),
        ("note(e); return JSONResponse({}, status_code=502)", [("route", False)]),
    ],
)
def test_routes(clause: str, expected: list[tuple[str, bool]]) -> None:
    code = (
        f"{FASTAPI}def report(e):\n    sentry_sdk.capture_exception(e)\ndef note(e):\n    print(e)\n"
        f"@app.get('/x')\ndef x():\n    try:\n        run()\n    except Exception as e:\n        {clause}\n"
    )
    assert judged(code) == expected


def test_flask_abort_is_an_answer() -> None:
    code = f"{FLASK}@app.route('/x')\ndef x():\n    try:\n        run()\n    except Exception:\n        abort(500)\n"
    assert judged(code) == [("route", False)]


def test_many_routes_of_a_file_are_one_fact() -> None:
    route = "@app.get('/{0}')\ndef r{0}():\n    try:\n        run()\n    except Exception:\n        return JSONResponse({{}}, 500)\n"
    code = FASTAPI + "".join(route.format(number) for number in range(5))
    [fact] = error_handlers(Program(Texts({"main.py": code})), ["main.py"], "2.75.0")
    assert len(fact.evidence) == 5
    assert "in 5 places" in fact.problem


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("return JSONResponse({}, status_code=500)", False),
        ("raise", True),
        ("logger.error('x'); return JSONResponse({}, status_code=500)", True),
    ],
)
def test_middleware(clause: str, expected: bool) -> None:
    decorated = (
        f"{FASTAPI}@app.middleware('http')\nasync def m(request, call_next):\n    try:\n        return await call_next(request)\n"
        f"    except Exception:\n        {clause}\n"
    )
    derived = (
        f"{FASTAPI}class M(BaseHTTPMiddleware):\n    async def dispatch(self, request, call_next):\n        try:\n"
        f"            return await call_next(request)\n        except Exception:\n            {clause}\n"
    )
    assert judged(decorated) == [("middleware", expected)]
    assert judged(derived) == [("middleware", expected)]


def test_django_process_exception() -> None:
    code = (
        "from django.http import JsonResponse\nclass M:\n    def process_exception(self, request, exception):\n"
        "        {}\n"
    )
    assert judged(code.format("return JsonResponse({}, status=500)")) == [("middleware", False)]
    assert judged(code.format("return None")) == []


def test_websockets() -> None:
    code = (
        FASTAPI + "@app.websocket('/ws')\nasync def ws(socket: WebSocket):\n    try:\n        await run(socket)\n"
        "    except WebSocketDisconnect:\n        pass\n    except Exception:\n        await socket.close(1011)\n"
    )
    assert judged(code) == [("websocket", False)]
    assert judged(code.replace("await socket.close", "logger.exception('x'); await socket.close")) == [
        ("websocket", True)
    ]


def test_tasks() -> None:
    code = "from celery import shared_task\n@shared_task\ndef t(x):\n    try:\n        run(x)\n    except Exception as e:\n        {}\n"
    assert judged(code.format("print(e)")) == [("worker", False)]
    assert judged(code.format("raise t.retry(exc=e)")) == [("worker", True)]
    small = "@shared_task\ndef t(x):\n    a()\n    b()\n    c()\n    d()\n    try:\n        cache()\n    except Exception:\n        pass\n"
    assert judged("from celery import shared_task\n" + small) == []


def test_logging_is_not_enough_for_sdk_3_nor_structlog() -> None:
    code = (
        f"{FASTAPI}class E(Exception): ...\n@app.exception_handler(E)\ndef h(r, e):\n    logger.error('x')\n"
        "    return JSONResponse({}, status_code=500)\n"
    )
    assert isinstance(judged(code, "3.0.0")[0][1], str)
    assert isinstance(judged("import structlog\n" + code)[0][1], str)


# --- shutdown, jobs, request context ------------------------------------------------------------------


def flushes(server: str, code: str) -> bool | str:
    [fact] = shutdown(Program(Texts({"main.py": code})), ["main.py"], server)
    return fact.unknown or fact.flushes


LIFESPAN = "import sentry_sdk\nasync def lifespan(app):\n    yield\n    {}\n"


@pytest.mark.parametrize(
    ("server", "code", "expected"),
    [
        ("uvicorn", "import sentry_sdk\n", False),
        ("gunicorn+uvicorn", "import sentry_sdk\n", False),
        ("gunicorn", "", True),
        ("uvicorn", LIFESPAN.format("sentry_sdk.flush(timeout=5)"), True),
        ("uvicorn", LIFESPAN.format("sentry_sdk.get_client().close()"), True),
        ("uvicorn", "import sentry_sdk\nasync def f():\n    sentry_sdk.flush()\n    yield\n", False),
        ("uvicorn", "import sentry_sdk\n@app.on_event('shutdown')\ndef f():\n    sentry_sdk.flush()\n", True),
        ("uvicorn", "import sentry_sdk, signal\ndef f(*a):\n    sentry_sdk.flush()\nsignal.signal(15, f)\n", True),
        ("uvicorn", "import sentry_sdk\ndef f():\n    sentry_sdk.flush()\n@app.get('/')\ndef r():\n    f()\n", False),
    ],
)
def test_shutdown(server: str, code: str, expected: bool) -> None:
    assert flushes(server, code) is expected


def test_a_server_that_was_not_measured_is_unknown() -> None:
    assert isinstance(flushes("uwsgi", "import sentry_sdk\n"), str)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os\nos._exit(1)\n", [False]),
        ("import os, sentry_sdk\nsentry_sdk.flush()\nos._exit(1)\n", []),
        ("import multiprocessing\ndef w():\n    run()\nmultiprocessing.Process(target=w).start()\n", [False]),
        (
            "import multiprocessing, sentry_sdk\ndef w():\n    sentry_sdk.flush()\nmultiprocessing.Process(target=w)\n",
            [True],
        ),
        ("print(1)\n", []),
    ],
)
def test_job_exit(code: str, expected: list[bool]) -> None:
    found = job_exit(Program(Texts({"main.py": code})), ["main.py"], "uvicorn")
    assert [item.flushes for item in found] == expected


def test_request_context() -> None:
    code = (
        "import sentry_sdk\nfrom fastapi import Depends\nfrom fastapi.security import HTTPBearer\n"
        "def user(token=Depends(HTTPBearer())):\n    with sentry_sdk.new_scope() as scope:\n        scope.set_user({'id': 1})\n"
        "    sentry_sdk.set_tag('request_id', '1')\n"
    )
    [fact] = request_context(Program(Texts({"main.py": code})), ["main.py"])
    assert (fact.has_authentication, fact.sets_user, fact.sets_request_id) == (True, True, True)
    [fact] = request_context(Program(Texts({"main.py": "# HTTPBearer\nx = 'set_user('\n"})), ["main.py"])
    assert (fact.has_authentication, fact.sets_user, fact.sets_request_id) == (False, False, False)


def test_agents_that_are_named() -> None:
    files = {"agent.py": "import sentry_sdk\ndef run():\n    sentry_sdk.set_context('agent', {})\ndef other(): ...\n"}
    [fact] = request_context(Program(Texts(files)), ["agent.py"], ["agent.py:run"])
    assert fact.sets_agent
    [fact] = request_context(Program(Texts(files)), ["agent.py"], ["agent.py:run", "agent.py:other"])
    assert (fact.sets_agent, fact.agents) == (False, ("agent.py:other",))
