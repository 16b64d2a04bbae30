"""Puts the routes of the harness into the application: Starlette and FastAPI, Flask, Django. Python 3.8."""

import sentry_audit_harness as harness
from sentry_audit_hook import record

PREFIX = harness.PREFIX


def _path(path):
    action, _, probe = path[len(PREFIX) :].partition("/")
    return action, probe


# --- Starlette, FastAPI ---------------------------------------------------------------------------


def starlette(module):
    """Add the routes when the middleware is put together: everything else is set up by then, and no frame of ours is left."""
    for name in ("Starlette", "FastAPI"):
        cls = vars(module).get(name)
        if isinstance(cls, type) and "build_middleware_stack" in vars(cls):
            cls.build_middleware_stack = _building(cls.build_middleware_stack)


def _building(plain):
    def build_middleware_stack(self):
        if not getattr(self, "_sentry_audit", False):
            self._sentry_audit = True
            try:
                _starlette_routes(self)
            except Exception as error:  # noqa: BLE001
                record("harness-failed", error="%s: %s" % (type(error).__name__, error))
        return plain(self)

    return build_middleware_stack


def _starlette_routes(app):
    from starlette.background import BackgroundTask
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    handlers = [
        (cls, function)
        for cls, function in app.exception_handlers.items()
        if isinstance(cls, type) and issubclass(cls, Exception) and not function.__module__.startswith(("starlette.", "fastapi."))
        and cls is not Exception and not issubclass(cls, HTTPException) and "Validation" not in cls.__name__
    ]  # fmt: skip
    own = list(app.router.routes)

    async def answer(request: Request):
        action, probe = _path(request.url.path[request.url.path.index(PREFIX) :])
        if action == "about":
            return JSONResponse(_about_starlette(app, own, handlers))
        if action == "handled":
            index, _, probe = probe.partition("/")
            raise harness.make(handlers[int(index)][0], probe)
        if action == "http":
            raise HTTPException(500, "sentry-audit " + probe)
        if action == "bg":
            return JSONResponse({}, background=BackgroundTask(harness.boom, probe))
        if action == "boom":
            harness.boom(probe)
        payload = await request.json() if request.method == "POST" else {}
        if action == "leak":
            harness.leak(probe, payload)
        return JSONResponse(await run_in_threadpool(harness.do, action, probe, payload))

    async def talk(websocket: WebSocket):
        await websocket.accept()
        harness.boom(await websocket.receive_text())

    path = PREFIX + "{rest:path}"
    try:
        from fastapi import FastAPI
        from fastapi.routing import APIRoute
    except ImportError:
        FastAPI = None
    if FastAPI is not None and isinstance(app, FastAPI):
        route = APIRoute(path, answer, methods=["GET", "POST"], include_in_schema=False)
    else:
        route = Route(path, answer, methods=["GET", "POST"])
    app.router.routes.insert(0, route)
    app.router.routes.insert(0, WebSocketRoute(PREFIX + "ws", talk))
    record("harness", framework=type(app).__name__)


def _about_starlette(app, own, handlers):
    routes, sockets = [], []

    def walk(items, prefix):
        for item in items:
            path = prefix + getattr(item, "path", "")
            kind = type(item).__name__
            if "WebSocket" in kind:
                sockets.append(path)
            elif "GET" in (getattr(item, "methods", None) or ()):
                routes.append(path)
            elif getattr(item, "routes", None):
                walk(item.routes, path)

    walk(own, "")
    known = [harness.describe_handler(cls, function) for cls, function in handlers]
    return {
        "framework": type(app).__name__.lower(),
        "routes": routes,
        "sockets": sockets,
        "handlers": known,
        "http": True,
        "background": True,
    }


# --- Flask ----------------------------------------------------------------------------------------


def flask(module):
    """Add the routes when an application is called first."""
    plain = module.Flask.__call__

    def __call__(self, environ, start_response):
        if not getattr(self, "_sentry_audit", False):
            self._sentry_audit = True
            try:
                _flask_routes(self)
            except Exception as error:  # noqa: BLE001
                record("harness-failed", error="%s: %s" % (type(error).__name__, error))
        return plain(self, environ, start_response)

    module.Flask.__call__ = __call__


def _flask_routes(app):
    from flask import abort, jsonify, request
    from werkzeug.exceptions import HTTPException

    handlers = [
        (cls, function)
        for codes in app.error_handler_spec.values()
        for classes in codes.values()
        for cls, function in classes.items()
        if isinstance(cls, type) and not issubclass(cls, HTTPException) and cls is not Exception
    ]
    own = [
        str(rule) for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and rule.endpoint != "static"
    ]

    def answer(rest):
        action, probe = _path(PREFIX + rest)
        if action == "about":
            known = [harness.describe_handler(cls, function) for cls, function in handlers]
            return jsonify({"framework": "flask", "routes": own, "sockets": [], "handlers": known, "http": False})
        if action == "handled":
            index, _, probe = probe.partition("/")
            raise harness.make(handlers[int(index)][0], probe)
        if action == "http":
            abort(500, "sentry-audit " + probe)
        payload = request.get_json(silent=True) or {}
        return jsonify(harness.do(action, probe, payload))

    rule = app.url_rule_class(PREFIX + "<path:rest>", endpoint="sentry_audit", methods=["GET", "POST"])
    app.url_map.add(rule)
    app.view_functions["sentry_audit"] = answer
    record("harness", framework="flask")


# --- Django ---------------------------------------------------------------------------------------


def django(module):
    """Answer the routes where a request would be resolved: behind all middleware."""
    if not hasattr(module.BaseHandler, "resolve_request"):
        record("harness-failed", error="this Django is older than 3.1")
        return
    plain = module.BaseHandler.resolve_request

    def resolve_request(self, request):
        if not request.path_info.startswith(PREFIX):
            return plain(self, request)
        from django.urls import ResolverMatch

        rest = request.path_info[len(PREFIX) :]
        request.resolver_match = ResolverMatch(_django_answer(), (), {"rest": rest}, url_name="sentry_audit")
        return request.resolver_match

    module.BaseHandler.resolve_request = resolve_request
    record("harness", framework="django")


def _django_answer():
    from django.db import connections
    from django.http import JsonResponse

    def answer(request, rest):
        action, probe = _path(PREFIX + rest)
        if action == "about":
            return JsonResponse(
                {"framework": "django", "routes": _django_paths(), "sockets": [], "handlers": [], "http": False}
            )
        payload = {}
        if request.method == "POST":
            import json

            payload = json.loads(request.body)
        return JsonResponse(harness.do(action, probe, payload))

    answer.csrf_exempt = True
    answer._non_atomic_requests = set(connections)
    return answer


def _django_paths():
    from django.urls import get_resolver

    return ["/" + str(item.pattern) for item in get_resolver().url_patterns if not hasattr(item, "url_patterns")
            and "^" not in str(item.pattern)]  # fmt: skip
