"""What is done inside the application on request: errors, a query, a question to a model. Served below ``PREFIX``.

The routes stand inside the application's own middleware and error handlers. Only the standard library; Python 3.8.
"""

import http.server
import json
import os
import sys
import threading

PREFIX = "/__sentry_audit__/"


class SentryAuditError(RuntimeError):
    """The error that verify raises on purpose; its message carries the number of the request."""


def boom(probe):
    """Raise an error that nothing expects."""
    raise SentryAuditError("sentry-audit " + probe)


def leak(probe, payload):
    """Raise an error with what a client sent in the local variables, as it is in any handler of a form."""
    account = payload.get("account")
    contact = payload.get("email")
    raise SentryAuditError("sentry-audit " + probe)


def make(cls, probe):
    """An instance of an exception class of the application, whatever its constructor wants."""
    try:
        return cls("sentry-audit " + probe)
    except Exception:  # noqa: BLE001
        error = cls.__new__(cls)
        error.args = ("sentry-audit " + probe,)
        return error


def flush():
    """Send what the SDK holds; whether there is an SDK."""
    sdk = sys.modules.get("sentry_sdk")
    if sdk is not None:
        sdk.flush(timeout=5.0)
    return sdk is not None


def describe_handler(cls, function):
    """An error handler of the application, for the report."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    place = [code.co_filename, code.co_firstlineno] if code else ["", 0]
    return {"exception": cls.__name__, "function": name, "file": place[0], "line": place[1]}


def database(library):
    """One query on an in-memory database, through a library of the application."""
    if library == "sqlalchemy":
        import sqlalchemy

        engine = sqlalchemy.create_engine("sqlite://")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("select 1"))
    elif library == "django":
        from django.db.utils import load_backend

        backend = load_backend("django.db.backends.sqlite3")
        settings = {"NAME": ":memory:", "ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}, "TIME_ZONE": None,
                    "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False, "AUTOCOMMIT": True, "ATOMIC_REQUESTS": False,
                    "USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "TEST": {}}  # fmt: skip
        connection = backend.DatabaseWrapper(settings, "sentry_audit")
        try:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
        finally:
            connection.close()


class _Model(http.server.BaseHTTPRequestHandler):
    """A language model that always says yes."""

    def log_message(self, format, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = {"id": "m1", "object": "chat.completion", "created": 1, "model": "sentry-audit", "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}  # fmt: skip
        if "messages" in self.path and "chat" not in self.path:
            body = {"id": "m1", "type": "message", "role": "assistant", "model": "sentry-audit", "stop_reason": "end_turn",
                    "stop_sequence": None, "content": [{"type": "text", "text": "yes"}],
                    "usage": {"input_tokens": 3, "output_tokens": 1}}  # fmt: skip
        answer = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def ask_model(library, prompt):
    """One question through a client library of the application, to a model on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    address = "http://127.0.0.1:%d" % server.server_address[1]
    question = [{"role": "user", "content": prompt}]
    try:
        if library == "openai":
            import openai

            client = openai.OpenAI(api_key="none", base_url=address + "/v1", max_retries=0, timeout=5)
            client.chat.completions.create(model="sentry-audit", messages=question)
        elif library == "anthropic":
            import anthropic

            client = anthropic.Anthropic(api_key="none", base_url=address, max_retries=0, timeout=5)
            client.messages.create(model="sentry-audit", max_tokens=5, messages=question)
    finally:
        server.shutdown()
        server.server_close()


def do(action, probe, payload=None):
    """What ``action`` (the path behind the prefix) asks for, where that needs no framework; its answer as a dict."""
    if action == "boom":
        boom(probe)
    if action == "leak":
        leak(probe, payload or {})
    library = probe.partition("/")[0]
    if action == "db":
        database(library)
    if action == "llm":
        ask_model(library, (payload or {}).get("prompt", "well?"))
    if action == "flush":
        return {"sdk": flush(), "pid": os.getpid()}
    return {}


def _after(name):
    def run(module):
        import sentry_audit_web

        getattr(sentry_audit_web, name)(module)

    return run


def _celery(module):
    import sentry_audit_celery

    sentry_audit_celery.watch(module)


AFTER = {
    "starlette.applications": _after("starlette"),
    "fastapi.applications": _after("starlette"),
    "flask.app": _after("flask"),
    "django.core.handlers.base": _after("django"),
    "celery.signals": _celery,
}
