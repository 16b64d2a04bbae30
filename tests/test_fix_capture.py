"""What fixers write into Python back ends: it closes its check, opens no other, and does what it says when it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sentry_audit import app
from sentry_audit.fixing import Change, Refusal
from tests.fixing_capture import cases, fixed, fixed_in, offered
from tests.trees import IMAGE, SDK, write

SHOP = Path(__file__).parent.parent / "examples" / "shop"
INIT = "import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init({})\napp = FastAPI()\n"
PACKAGES = {"requirements.txt": SDK, "Dockerfile": IMAGE}
HANDLER = """\
    import sentry_sdk
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    sentry_sdk.init()
    app = FastAPI()


    class AppError(Exception):
        pass


    @app.exception_handler(AppError)
    async def answer(request, exc):
        \"\"\"Answer.\"\"\"
        # always the same
        return JSONResponse(status_code=500, content={})
    """


def tree(main: str, **more: str) -> dict[str, str]:
    return {**PACKAGES, "main.py": main, **more}


def python(root: Path, code: str) -> str:
    """What ``code`` prints, run in ``root`` with the real SDK, whose transport keeps what it is given."""
    head = """\
import sys, warnings
# The SDK imports whatever it knows, which takes a second: nothing here uses these.
sys.modules.update(dict.fromkeys(["openai", "sqlalchemy", "django"]))
import sentry_sdk
warnings.simplefilter("ignore")
from sentry_sdk.transport import Transport
kept = []
class Kept(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            if (event := item.get_event() or item.get_transaction_event()):
                kept.append(event)
    def flush(self, timeout, callback=None):
        kept.append("flushed")
inner = sentry_sdk.init
def init(*given, **options):
    options.update(transport=Kept, dsn="https://k@o1.ingest.us.sentry.io/1")
    return inner(*given, **options)
sentry_sdk.init = init
def errors():
    return [item for item in kept if item != "flushed" and "exception" in item]
"""
    done = subprocess.run(
        [sys.executable, "-c", head + code], cwd=root, capture_output=True, text=True, check=False, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- what handlers end ------------------------------------------------------------------------------


def test_a_handler_tells_first_and_keeps_its_comment(tmp_path: Path) -> None:
    text = fixed(tmp_path, tree(HANDLER), "backend-errors-captured")["main.py"]
    assert '    """Answer."""\n    sentry_sdk.capture_exception(exc)\n    # always the same\n    return' in text
    code = """
from fastapi.testclient import TestClient
import main
@main.app.get("/fail")
def fail():
    raise main.AppError("told")
print(TestClient(main.app).get("/fail").status_code, [item["exception"]["values"][0]["value"] for item in errors()])
"""
    assert python(tmp_path, code) == "500 ['told']"


ROUTE = """\
    import sentry_sdk
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    from work import run

    sentry_sdk.init()
    app = FastAPI()


    @app.get("/one")
    def one():
        try:
            run()
        except Exception: return JSONResponse(status_code=500, content={})


    @app.get("/two")
    def two(error: str = ""):
        try:
            run()
        except (ValueError, Exception):  # whatever it is
            return JSONResponse(status_code=502, content={"error": error})


    @app.get("/three")
    def three():
        try:
            run()
        except:
            return JSONResponse(status_code=503, content={})
    """


def test_routes_keep_their_layout_and_names(tmp_path: Path) -> None:
    files = tree(ROUTE, **{"work.py": "def run():\n    raise RuntimeError('told')\n"})
    text = fixed(tmp_path, files, "backend-errors-captured")["main.py"]
    assert (
        "    except Exception as error:\n        sentry_sdk.capture_exception(error)\n        return JSONResponse"
        in text
    )
    assert (
        "    except (ValueError, Exception) as exc:  # whatever it is\n        sentry_sdk.capture_exception(exc)\n"
        in text
    )
    assert "    except:\n        sentry_sdk.capture_exception()\n" in text
    code = """
from fastapi.testclient import TestClient
import main
client = TestClient(main.app)
print([client.get(path).status_code for path in ("/one", "/two", "/three")], len(errors()))
"""
    assert python(tmp_path, code) == "[500, 502, 503] 3"


def test_line_ends_and_tabs_stay(tmp_path: Path) -> None:
    main = ROUTE.replace("    ", "\t").replace("\n\t", "\n").removeprefix("\t").replace("\n", "\r\n")
    write(tmp_path, {**PACKAGES, "work.py": "def run(): pass\n"})
    (tmp_path / "main.py").write_bytes(main.encode())
    text = fixed_in(tmp_path, "backend-errors-captured")["main.py"]
    assert text.count("\r\n") == text.count("\n")
    kept = [line for line in main.split("\r\n") if "except" not in line and line.strip()]
    assert [line for line in text.split("\r\n") if line in kept] == kept
    assert "\t\tsentry_sdk.capture_exception(exc)\r\n" in text


def test_only_server_errors_of_a_mixed_handler_are_told(tmp_path: Path) -> None:
    main = HANDLER.replace(
        "        # always the same\n",
        "        if exc.args == ('gone',):\n            return JSONResponse(status_code=404, content={})\n",
    )
    text = fixed(tmp_path, tree(main), "backend-errors-captured")["main.py"]
    assert "status_code=404, content={})\n    sentry_sdk.capture_exception(exc)\n    return" in text
    code = """
from fastapi.testclient import TestClient
import main
@main.app.get("/{name}")
def fail(name: str):
    raise main.AppError(name)
client = TestClient(main.app)
print([client.get(path).status_code for path in ("/gone", "/lost")], len(errors()))
"""
    assert python(tmp_path, code) == "[404, 500] 1"


def test_flask_handlers_are_told_of(tmp_path: Path) -> None:
    main = """\
        import sentry_sdk
        from flask import Flask

        sentry_sdk.init()
        app = Flask(__name__)


        @app.errorhandler(Exception)
        def failed(error):
            return {"error": "failed"}, 500


        @app.get("/fail")
        def fail():
            raise RuntimeError("told")
        """
    files = {"requirements.txt": SDK.replace("fastapi", "flask"), "main.py": main}
    text = fixed(tmp_path, files, "backend-errors-captured")["main.py"]
    assert "def failed(error):\n    sentry_sdk.capture_exception(error)\n" in text
    assert python(tmp_path, "import main; main.app.test_client().get('/fail'); print(len(errors()))") == "1"


SOCKET = """\
    import sentry_sdk
    from fastapi import FastAPI, WebSocket

    sentry_sdk.init()
    app = FastAPI()


    @app.websocket("/ws")
    async def talk(socket: WebSocket):
        await socket.accept()
        try:
            while True:
                if await socket.receive_text() == "fail":
                    raise RuntimeError("told")
        except Exception:
            try:
                await socket.close(1011)
            except Exception:
                pass
    """


def test_a_client_that_leaves_is_no_error(tmp_path: Path) -> None:
    text = fixed(tmp_path, tree(SOCKET), "websocket-errors-captured")["main.py"]
    assert "from fastapi import FastAPI, WebSocket, WebSocketDisconnect\n" in text
    assert text.count("capture_exception") == 1
    code = """
from fastapi.testclient import TestClient
import main
for word in ("fail", ""):
    with TestClient(main.app).websocket_connect("/ws") as socket:
        if word:
            socket.send_text(word)
print(len(errors()))
"""
    assert python(tmp_path, code) == "1"


def test_a_task_tells(tmp_path: Path) -> None:
    main = """\
        import sentry_sdk
        from celery import Celery

        sentry_sdk.init()
        app = Celery("x")


        @app.task
        def send():
            try:
                print(1)
                print(2)
            except Exception:
                pass
        """
    files = {
        "requirements.txt": "celery\nsentry-sdk>=2.64,<3\n",
        "Dockerfile": IMAGE.replace('"uvicorn", "main:app", "--host", "0.0.0.0"', '"celery", "-A", "main", "worker"'),
        "main.py": main,
    }
    text = fixed(tmp_path, files, "worker-errors-captured")["main.py"]
    assert "    except Exception as error:\n        sentry_sdk.capture_exception(error)\n" in text
    assert "pass" not in text


def test_an_optional_sdk_is_asked_for(tmp_path: Path) -> None:
    guarded = "    try:\n        import sentry_sdk\n    except ImportError:\n        sentry_sdk = None\n"
    main = HANDLER.replace("    import sentry_sdk\n", guarded)
    text = fixed(tmp_path, tree(main), "backend-errors-captured")["main.py"]
    assert "    if sentry_sdk is not None:\n        sentry_sdk.capture_exception(exc)\n" in text


def test_without_the_package_nothing_is_written(tmp_path: Path) -> None:
    write(tmp_path, {**tree(HANDLER), "requirements.txt": "fastapi\n"})
    told = offered(tmp_path, "backend-errors-captured")
    assert isinstance(told, Refusal)
    assert "does not install sentry-sdk" in told.reason


# --- the end of a process ---------------------------------------------------------------------------

SHUTDOWN = """
from fastapi.testclient import TestClient
import main
with TestClient(main.app):
    before = list(kept)
print(before, kept)
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("app = FastAPI()\n", "    yield\n    sentry_sdk.flush(timeout=5)\n\n\napp = FastAPI(lifespan=lifespan)\n"),
        (
            (
                "@asynccontextmanager\nasync def life(app):\n    try:\n        yield\n    finally:\n        print('', end='')\n\n\n"
                "app = FastAPI(title='x', lifespan=life)\n"
            ),
            "    finally:\n        print('', end='')\n        sentry_sdk.flush(timeout=5)\n",
        ),
        (
            "app = FastAPI()\n\n\n@app.on_event('startup')\nasync def begin():\n    pass\n",
            "    pass\n\n\n@app.on_event('shutdown')\ndef flush_sentry() -> None:\n    sentry_sdk.flush(timeout=5)\n",
        ),
        (
            "app = FastAPI()\n\n\n@app.on_event('shutdown')\nasync def end():\n    print('', end='')\n",
            "    print('', end='')\n    sentry_sdk.flush(timeout=5)\n",
        ),
    ],
)
def test_what_is_queued_is_sent_on_shutdown(tmp_path: Path, before: str, after: str) -> None:
    head = "from contextlib import asynccontextmanager\n\n" if "async def life" in before else ""
    main = f"{head}import sentry_sdk\nfrom fastapi import FastAPI\n\nsentry_sdk.init()\n{before}"
    text = fixed(tmp_path, tree(main), "backend-flush-on-shutdown")["main.py"]
    assert after in text
    assert python(tmp_path, SHUTDOWN) == "[] ['flushed']"


def test_an_application_that_is_not_seen_is_left(tmp_path: Path) -> None:
    main = "import sentry_sdk\nfrom base import make\n\nsentry_sdk.init()\napp = make(FastAPI)\n"
    write(tmp_path, tree(main))
    told = offered(tmp_path, "backend-flush-on-shutdown")
    assert isinstance(told, Refusal)
    assert told.commands


def test_a_process_flushes_before_it_ends_at_once(tmp_path: Path) -> None:
    main = """\
        import multiprocessing
        import os

        import sentry_sdk

        sentry_sdk.init()


        def child(count):
            # counts
            for number in range(count):
                print(number)

            print("done")


        def main():
            multiprocessing.Process(target=child, args=(2,)).start()
            os._exit(3)


        if __name__ == "__main__":
            main()
        """
    image = IMAGE.replace('"uvicorn", "main:app", "--host", "0.0.0.0"', '"python", "main.py"')
    text = fixed(tmp_path, {**PACKAGES, "Dockerfile": image, "main.py": main}, "job-flush")["main.py"]
    assert "    sentry_sdk.flush(timeout=5)\n    os._exit(3)\n" in text
    assert "    finally:\n        sentry_sdk.flush(timeout=5)\n" in text
    assert python(tmp_path, "import main; main.child(1); print(kept)") == "0\ndone\n['flushed']"


# --- what init is given -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "check", "expected"),
    [
        ("", "privacy-scrubbing", "    include_local_variables=False,\n    before_send=scrub,"),
        ("\n    dsn=None  # off\n", "privacy-scrubbing", "    dsn=None,  # off\n    event_scrubber=EventScrubber("),
        ("send_default_pii=True", "privacy-default-pii", "sentry_sdk.init()"),
        ("\n    dsn=None,\n    send_default_pii=True,  # all\n", "privacy-default-pii", "init(\n    dsn=None,\n)"),
        ("send_default_pii=True, debug=False", "privacy-default-pii", "sentry_sdk.init(debug=False)"),
        ("data_collection={}, debug=False", "privacy-scrubber-active", "sentry_sdk.init(debug=False)"),
        ("debug=False", "backend-tracing", 'traces_sample_rate=float(os.environ.get("SENTRY_TRACES_SAMPLE_RATE") or 0.1)'),
        ("traces_sample_rate=0", "backend-tracing", 'float(os.environ.get("SENTRY_TRACES_SAMPLE_RATE") or 0.1)'),
        ("traces_sample_rate=0.3", "sampling-per-environment", '"SENTRY_TRACES_SAMPLE_RATE") or 0.3'),
    ],
)  # fmt: skip
def test_init_is_given_what_it_lacks(tmp_path: Path, given: str, check: str, expected: str) -> None:
    text = fixed(tmp_path, tree(INIT.format(given)), check)["main.py"]
    assert expected in text
    assert python(tmp_path, "import main; print(sentry_sdk.is_initialized())") == "True"


def test_an_older_sdk_is_told_that_nothing_personal_is_sent(tmp_path: Path) -> None:
    files = {**tree(INIT.format("send_default_pii=True")), "requirements.txt": "fastapi\nsentry-sdk==2.44.0\n"}
    assert "sentry_sdk.init(send_default_pii=False)" in fixed(tmp_path, files, "privacy-default-pii")["main.py"]


def test_a_rate_is_a_field_of_the_settings(tmp_path: Path) -> None:
    main = (
        "import sentry_sdk\nfrom fastapi import FastAPI\n\nfrom config import settings\n\n"
        "sentry_sdk.init(dsn=settings.sentry_dsn)\napp = FastAPI()\n"
    )
    config = (
        "from pydantic_settings import BaseSettings\n\n\nclass Settings(BaseSettings):\n"
        "    sentry_dsn: str | None = None\n    debug: bool = False\n\n\nsettings = Settings()\n"
    )
    texts = fixed(tmp_path, tree(main, **{"config.py": config}), "backend-tracing")
    assert "    sentry_dsn: str | None = None\n    sentry_traces_sample_rate: float = 0.1\n" in texts["config.py"]
    assert "traces_sample_rate=settings.sentry_traces_sample_rate" in texts["main.py"]


PROBED = """\
    import os

    import sentry_sdk
    from fastapi import FastAPI

    sentry_sdk.init({})
    app = FastAPI()


    @app.get("/health")
    def health() -> dict[str, str]:
        return {{}}


    @app.get("/order")
    def order() -> dict[str, str]:
        return {{}}
    """
TRACED = """
from fastapi.testclient import TestClient
import main
client = TestClient(main.app)
client.get("/health"), client.get("/order")
print([item["transaction"] for item in kept])
"""


@pytest.mark.parametrize(
    ("given", "check", "seen"),
    [
        ("traces_sample_rate=float(os.environ.get('RATE', '1'))", "noise-health-checks", 1),
        ("traces_sample_rate=None", "backend-tracing", -1),
    ],
)
def test_probes_make_no_transaction(tmp_path: Path, given: str, check: str, seen: int) -> None:
    text = fixed(tmp_path, tree(PROBED.format(given)), check)["main.py"]
    assert "traces_sampler=traces_sampler" in text
    told = python(tmp_path, TRACED)
    assert "health" not in told
    assert seen < 0 or told.count("order") == seen
    assert not cases(tmp_path, "noise-health-checks")


def test_a_sampler_imports_what_only_init_imports(tmp_path: Path) -> None:
    main = """\
        from fastapi import FastAPI


        def begin():
            import sentry_sdk

            sentry_sdk.init(traces_sample_rate=1.0)


        begin()
        app = FastAPI()


        @app.get("/health")
        def health():
            return {}


        @app.get("/order")
        def order():
            return {}
        """
    text = fixed(tmp_path, tree(main), "noise-health-checks")["main.py"]
    assert not text.startswith("import sentry_sdk")
    assert python(tmp_path, TRACED).count("order") == 1


@pytest.mark.parametrize(
    ("given", "check", "package", "expected"),
    [
        ("traces_sample_rate=0.5", "database-spans", "aiomysql", "integrations=[AioMySQLIntegration()]"),
        ("traces_sample_rate=0.5, integrations=[]", "llm-spans", "litellm", "integrations=[LiteLLMIntegration()]"),
        ("send_default_pii=True", "llm-prompts-private", "openai", "OpenAIIntegration(include_prompts=False)"),
        (
            "send_default_pii=True, integrations=[OpenAIIntegration()]",
            "llm-prompts-private",
            "openai",
            "[OpenAIIntegration(include_prompts=False)]",
        ),
    ],
)
def test_integrations_are_listed(tmp_path: Path, given: str, check: str, package: str, expected: str) -> None:
    more = "from sentry_sdk.integrations.openai import OpenAIIntegration\n" if "[OpenAI" in given else ""
    files = {**tree(INIT.format(given).replace("\n\n", f"\n{more}\n", 1)), "requirements.txt": f"{SDK}{package}\n"}
    text = fixed(tmp_path, files, check)["main.py"]
    assert expected in text
    assert text.count("import OpenAIIntegration") == text.count("OpenAIIntegration(")


# --- what events say --------------------------------------------------------------------------------

TAGGED = """
from fastapi.testclient import TestClient
import main
@main.app.get("/fail")
def fail():
    raise RuntimeError("told")
client = TestClient(main.app, raise_server_exceptions=False)
client.get("/fail", headers={"X-Request-ID": "r-1"}), client.get("/fail")
print(*[item["tags"]["request_id"] for item in errors()])
"""


@pytest.mark.parametrize("extra", ["", "class Log(BaseHTTPMiddleware):\n    pass\n\n\n"])
def test_events_carry_the_id_of_their_request(tmp_path: Path, extra: str) -> None:
    head = "from starlette.middleware.base import BaseHTTPMiddleware\n" if extra else ""
    main = f"import sentry_sdk\nfrom fastapi import FastAPI\n{head}\nsentry_sdk.init()\n\n\n{extra}app = FastAPI()\n"
    text = fixed(tmp_path, tree(main), "backend-error-context")["main.py"]
    assert "app = FastAPI()\napp.add_middleware(RequestIdMiddleware)\n" in text
    assert ("class RequestIdMiddleware(BaseHTTPMiddleware)" in text) == bool(extra)
    first, second = python(tmp_path, TAGGED).split()
    assert first == "r-1"
    assert len(second) == 36


def test_an_id_that_is_there_is_taken(tmp_path: Path) -> None:
    middleware = """

        @app.middleware("http")
        async def label(request, call_next):
            request_id = request.headers.get("x-request-id")
            if not request_id:
                request_id = "mine"
            return await call_next(request)
        """
    main = INIT.format("") + textwrap.dedent(middleware)
    text = fixed(tmp_path, tree(main), "backend-error-context")["main.py"]
    assert '        request_id = "mine"\n    sentry_sdk.set_tag("request_id", request_id)\n    return' in text
    assert python(tmp_path, TAGGED) == "r-1 mine"


def test_flask_in_a_factory_is_tagged(tmp_path: Path) -> None:
    main = (
        "import sentry_sdk\nfrom flask import Flask\n\nsentry_sdk.init()\n\n\ndef create_app():\n"
        "    app = Flask(__name__)\n    app.config['X'] = 1\n    return app\n\n\napp = create_app()\n"
    )
    files = {"requirements.txt": SDK.replace("fastapi", "flask"), "main.py": main}
    text = fixed(tmp_path, files, "backend-error-context")["main.py"]
    assert "from flask import Flask, request\n" in text
    code = """
import main
@main.app.get("/fail")
def fail():
    raise RuntimeError("told")
main.app.test_client().get("/fail", headers={"X-Request-ID": "r-1"})
print(*[item["tags"]["request_id"] for item in errors()])
"""
    assert python(tmp_path, code) == "r-1"


def test_django_gets_a_middleware_first(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK.replace("fastapi", "django"),
        "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\n",
        "site_/__init__.py": "",
        "site_/urls.py": "urlpatterns = []\n",
        "site_/wsgi.py": (
            "import os\nfrom django.core.wsgi import get_wsgi_application\n"
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\napplication = get_wsgi_application()\n"
        ),
        "site_/settings.py": (
            "import sentry_sdk\n\nsentry_sdk.init()\nSECRET_KEY = 'x'\nROOT_URLCONF = 'site_.urls'\n"
            "MIDDLEWARE = [\n    'django.middleware.common.CommonMiddleware',\n]\n"
        ),
    }
    texts = fixed(tmp_path, files, "backend-error-context")
    assert "MIDDLEWARE = [\n    'site_.request_id.RequestIdMiddleware',\n    'django" in texts["site_/settings.py"]
    assert "    sentry_sdk.set_tag('request_id'," in texts["site_/request_id.py"]


USER = """\
    import sentry_sdk
    from fastapi import Depends, FastAPI
    from fastapi.security import HTTPBearer

    sentry_sdk.init()
    app = FastAPI()


    class User:
        id: int = 7
        email: str = "a@b.c"


    async def get_current_user(token=Depends(HTTPBearer())) -> User | None:
        user = User()
        if token.credentials == "none":
            return None
        return user


    @app.get("/fail")
    def fail(user=Depends(get_current_user)):
        raise RuntimeError("told")
    """


def test_the_user_is_told_by_id_alone(tmp_path: Path) -> None:
    text = fixed(tmp_path, tree(USER), "backend-user-context")["main.py"]
    assert '    if user is not None:\n        sentry_sdk.set_user({"id": str(user.id)})\n    return user\n' in text
    code = """
from fastapi.testclient import TestClient
import main
client = TestClient(main.app, raise_server_exceptions=False)
client.get("/fail", headers={"Authorization": "Bearer x"})
print(errors()[0]["user"])
"""
    assert python(tmp_path, code) == "{'id': '7'}"


def test_who_was_told_by_default_is_told_by_id(tmp_path: Path) -> None:
    main = "import sentry_sdk\nfrom fastapi import FastAPI\n\nimport people\n\nsentry_sdk.init(send_default_pii=True)\napp = FastAPI()\n"
    people = USER.replace("    sentry_sdk.init()\n    app = FastAPI()\n", "").partition("    @app.get")[0]
    texts = fixed(tmp_path, tree(main, **{"people.py": people}), "privacy-default-pii")
    assert "sentry_sdk.init()" in texts["main.py"]
    assert "sentry_sdk.set_user(" in texts["people.py"]


def test_a_user_of_unknown_shape_is_left(tmp_path: Path) -> None:
    write(tmp_path, tree(USER.replace("        id: int = 7\n", "").replace(" -> User | None", "")))
    assert isinstance(offered(tmp_path, "backend-user-context"), Refusal)


def test_a_user_that_is_a_text_is_left(tmp_path: Path) -> None:
    """The name of somebody has no ``id``: reading it would fail each request, whatever others read of their users."""
    main = USER.replace("user = User()", "user: str = str(token.credentials)").replace(" -> User | None", "")
    main = main.replace('raise RuntimeError("told")', "raise RuntimeError(str(user.id))")
    write(tmp_path, tree(main))
    assert isinstance(offered(tmp_path, "backend-user-context"), Refusal)


def test_flask_login_tells_the_id_it_loads(tmp_path: Path) -> None:
    main = """\
        import sentry_sdk
        from flask import Flask
        from flask_login import LoginManager

        sentry_sdk.init()
        app = Flask(__name__)
        manager = LoginManager(app)


        @manager.user_loader
        def load(user_id):
            return find(user_id)
        """
    files = {"requirements.txt": SDK.replace("fastapi", "flask"), "main.py": main}
    text = fixed(tmp_path, files, "backend-user-context")["main.py"]
    assert 'def load(user_id):\n    sentry_sdk.set_user({"id": user_id})\n' in text


def test_an_agent_says_which_run_it_is(tmp_path: Path) -> None:
    agent = "class Researcher:\n    async def run(self, question, *, session_id):\n        return question\n"
    files = tree(INIT.format(""), **{"agent.py": agent, "sentry-audit.yaml": "agents:\n- agent.py:Researcher\n"})
    text = fixed(tmp_path, files, "agent-context")["agent.py"]
    assert '        sentry_sdk.set_context("agent", {"name": "Researcher", "run": session_id})\n' in text


# --- the example ------------------------------------------------------------------------------------

#: What other fixes do first: the package, the DSN of staging, an argument that does not exist, a rate that is a number.
FIRST = (
    ("api/requirements.txt", "fastapi", "sentry-sdk>=2.64,<3\nfastapi"),
    ("api/app/observability.py", "FastApiIntegration(auto_enabling=True)", "FastApiIntegration()"),
    ("api/app/config.py", 'sample_rate: str = "0.1"', "sample_rate: float = 0.1"),
    (
        "api/app/config.py",
        'environment = "staging"\n',
        'environment = "staging"\n\n    def __init__(self) -> None:\n        self.sentry_dsn = os.environ.get("SENTRY_DSN")\n',
    ),
)
SHOP_CHECKS = {
    "api": (
        "backend-errors-captured", "backend-error-context", "backend-flush-on-shutdown", "privacy-scrubbing",
        "noise-health-checks",
    ),
    "worker": ("backend-tracing", "privacy-scrubbing"),
}  # fmt: skip


def test_the_example_goes_green(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    shutil.copytree(SHOP, root)
    for name, before, after in FIRST:
        path = root / name
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
    for component, checks in SHOP_CHECKS.items():
        for check in checks:
            fixed_in(root, check, component=component)
    [report] = app.check(app.Request(root=root, environments=("staging",)))
    wanted = {name for names in SHOP_CHECKS.values() for name in names}
    assert not [
        item
        for item in report.findings
        if item.check in wanted and item.status in {"gap", "unknown"} and item.component != "web"
    ]
    code = """
import os
os.environ.update(SHOP_ENV="staging", SENTRY_DSN="https://k@o1.ingest.us.sentry.io/1")
from fastapi.testclient import TestClient
from app.main import app
with TestClient(app) as client:
    client.get("/health")
    print(client.get("/orders/5000", headers={"X-Request-ID": "r-1"}).status_code)
print([(item["exception"]["values"][-1]["type"], item["tags"]["request_id"]) for item in errors()], "flushed" in kept)
"""
    assert python(root / "api", code) == "503\n[('OutOfStock', 'r-1')] True"


def test_changes_say_how_safe_they_are(tmp_path: Path) -> None:
    write(tmp_path, tree(HANDLER))
    told = offered(tmp_path, "backend-errors-captured")
    assert isinstance(told, Change)
    assert told.safety == "review"
    assert [edit.path for edit in told.edits] == ["main.py"]
