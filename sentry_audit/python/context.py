"""What events carry about the request: the user, a request id, the agent run."""

from __future__ import annotations

import ast
import re
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.facts import RequestContext
from sentry_audit.python.module import FunctionNode
from sentry_audit.python.values import place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.model import Evidence
    from sentry_audit.python.module import Module
    from sentry_audit.python.program import Program

#: Signs in code that requests belong to users.
_AUTHENTICATION = re.compile(
    r"\b(OAuth2PasswordBearer|OAuth2AuthorizationCodeBearer|HTTPBearer|HTTPBasic|APIKeyHeader|APIKeyCookie|fastapi_users"
    r"|get_current_user|current_user\b|login_required|LoginManager|flask_login|flask_jwt_extended|AuthenticationMiddleware"
    r"|IsAuthenticated|request\.user\b|verify_id_token|jwt\.decode|jwt_required|permission_required)"
)
_REQUEST_ID = re.compile(
    r"(request|correlation|trace|transaction)[_.-]?id|x-request-id|x-correlation-id", re.IGNORECASE
)
#: Bridges that put the correlation id on events by themselves.
_BRIDGES = ("asgi_correlation_id.extensions.sentry", "SentryLoggingIntegration", "django_guid.integrations")
_MARKS = ("set_user(", "scope.user", "set_tag", "set_context(", "set_extra", *_BRIDGES)
_SETTERS = frozenset({"set_tag", "set_tags", "set_context", "set_extra", "set_extras", "set_transaction_name"})


def request_context(
    program: Program, paths: Iterable[str], agents: Iterable[str] = (), pii: bool = False
) -> list[RequestContext]:
    """One fact about what each request of ``paths`` tells Sentry.

    ``agents`` are entry points (``path.py:name``) of agent runs; with ``pii`` (``send_default_pii``) the Django,
    Flask-Login and Starlette integrations set the user themselves.
    """
    authentication: Evidence | None = None
    user: list[Evidence] = []
    request_id: list[Evidence] = []
    for path in sorted(paths):
        here = program.remember(("request_context", path), partial(_read, program, path))
        authentication = authentication or program.remember(
            ("authentication", path), partial(_established, program, path)
        )
        user += here.user
        request_id += here.request_id
    sets_user = bool(user) or (pii and authentication is not None)
    evidence = (*((authentication,) if authentication else ()), *user[:3], *request_id[:3])
    missing = [(name, here) for name, here in ((name, _agent(program, name)) for name in agents) if here is not True]
    return [
        RequestContext(
            has_authentication=authentication is not None,
            sets_user=sets_user,
            sets_request_id=bool(request_id),
            sets_agent=not missing,
            agents=tuple(name for name, _ in missing) or tuple(agents),
            evidence=evidence,
        )
    ]


class _Said(Struct, frozen=True):
    """What one file tells Sentry about a request."""

    user: tuple[Evidence, ...] = ()
    request_id: tuple[Evidence, ...] = ()


def _read(program: Program, path: str) -> _Said:
    text = program.files.text(path) or ""
    module = program.module(path) if any(mark in text for mark in _MARKS) else None
    return _Said(tuple(_users(module)), tuple(_request_ids(module, text))) if module is not None else _Said()


def _established(program: Program, path: str) -> Evidence | None:
    """Where a file establishes or asks for a user."""
    module = program.module(path) if _AUTHENTICATION.search(program.files.text(path) or "") else None
    sign = _sign(module) if module is not None else None
    return place(module, sign) if module is not None and sign is not None else None


def _sign(module: Module) -> ast.AST | None:
    """The code (not a comment or a string) that establishes or asks for a user."""
    for node in module.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and _AUTHENTICATION.search(ast.unparse(node)):
            return node
        if isinstance(node, ast.ImportFrom) and any(_AUTHENTICATION.search(item.name) for item in node.names):
            return node
        if isinstance(node, FunctionNode) and _AUTHENTICATION.search(node.name):
            return node
    return None


def _of_sentry(module: Module, call: ast.Call) -> str:
    """The SDK function that ``call`` calls (``set_user``), also on a scope; ``""`` for any other call."""
    name = module.qualify(call.func)
    if name.startswith("sentry_sdk."):
        return name.rsplit(".", 1)[-1]
    if isinstance(call.func, ast.Attribute) and "sentry_sdk" in module.text:
        owner = ast.unparse(call.func.value)
        if owner.endswith(("scope", "sentry_sdk")) or "scope()" in owner:
            return call.func.attr
    return ""


def _users(module: Module) -> list[Evidence]:
    found = [place(module, call) for call in module.calls if _of_sentry(module, call) == "set_user"]
    for node in module.nodes:
        if isinstance(node, ast.Assign) and any(ast.unparse(target).endswith("scope.user") for target in node.targets):
            found.append(place(module, node))
    return found


def _request_ids(module: Module, text: str) -> list[Evidence]:
    found = [
        place(module, call)
        for call in module.calls
        if _of_sentry(module, call) in _SETTERS and call.args and _REQUEST_ID.search(ast.unparse(call))
    ]
    if not found and any(bridge in text for bridge in _BRIDGES):
        found = [place(module, module.tree.body[0])]
    return found


def _agent(program: Program, name: str) -> bool:
    """Whether the function or class ``path.py:name`` tells Sentry about the run."""
    path, _, attribute = name.partition(":")
    module = program.module(path) if path in program.files.paths else None
    if module is None:
        return False
    for node in module.nodes:
        if isinstance(node, FunctionNode | ast.ClassDef) and node.name == attribute:
            calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
            return any(_of_sentry(module, call) in _SETTERS for call in calls)
    return False
