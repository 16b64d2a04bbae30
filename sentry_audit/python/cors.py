"""CORS of a back end: which request headers a browser may send to it from another origin.

Starlette's CORSMiddleware, Flask-CORS and django-cors-headers. A preflight that asks for a header that is not allowed
fails, and with it the request.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.python.lists import Names, assigned, home, listed
from sentry_audit.python.truth import guarded
from sentry_audit.python.values import Scope, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.model import Evidence
    from sentry_audit.python.analysis import Analysed
    from sentry_audit.python.module import Module
    from sentry_audit.python.program import Program
    from sentry_audit.python.values import Resolver

#: The headers that carry a trace.
HEADERS = ("sentry-trace", "baggage")
_MARKS = ("CORSMiddleware", "flask_cors", "corsheaders", "CORS_ALLOW", "Access-Control-Allow-")
#: What django-cors-headers allows by itself: corsheaders/defaults.py.
_DJANGO = {
    "corsheaders.defaults.default_headers": frozenset(
        {"accept", "authorization", "content-type", "user-agent", "x-csrftoken", "x-requested-with"}
    )
}
_ORIGINS = ("allow_origins", "origins", "CORS_ALLOWED_ORIGINS", "CORS_ORIGIN_WHITELIST")
_EVERY_ORIGIN = ("allow_origin_regex", "CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL", "CORS_ALLOWED_ORIGIN_REGEXES")
_LOCAL = re.compile(r"^https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|host\.docker\.internal|testserver)(:|/|$)")


class Cors(Struct, frozen=True):
    """One place that configures CORS: the request ``headers`` and the ``origins`` that it allows."""

    headers: Names
    origins: Names
    every_origin: bool
    evidence: tuple[Evidence, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of the headers of a trace that are not allowed."""
        return tuple(name for name in HEADERS if not any(_covers(item, name) for item in self.headers.found))

    @property
    def allows(self) -> bool | None:
        """Whether the headers of a trace are allowed; None if the list was not followed to its end."""
        if not self.missing:
            return True
        return None if self.headers.unknown else False

    @property
    def local(self) -> bool:
        """Whether only the machines of developers are let in."""
        known = bool(self.origins.found) and not self.origins.unknown and not self.every_origin
        return known and all(_LOCAL.match(item) for item in self.origins.found)


def _covers(item: str, header: str) -> bool:
    """Whether an entry means a header: its name, ``*``, or a pattern as Flask-CORS takes them."""
    if item in {"*", header}:
        return True
    try:
        return any(mark in item for mark in "*\\]") and re.match(item, header) is not None
    except re.error:
        return False


def cors(analysed: Analysed, program: Program) -> list[Cors]:
    """The configurations of CORS in the files that a component loads; its entry files' own, if there are any."""
    found: list[Cors] = []
    django: list[Module] = []
    by_hand: list[Cors] = []
    for path in sorted(analysed.closure):
        text = program.files.text(path) or ""
        module = program.module(path) if any(mark in text for mark in _MARKS) else None
        if module is None:
            continue
        found += _calls(module, analysed.resolver)
        by_hand += _written(module)
        if re.search(r"corsheaders|\bCORS_ALLOW", text):
            django.append(module)
    if any("corsheaders.middleware" in module.text for module in django):
        found += _django(django, analysed)
    near = [item for item in found if item.evidence[0].path in analysed.service.entries]
    return near or found or by_hand[:1]


# --- Starlette, FastAPI, Flask -----------------------------------------------------------------------


def _calls(module: Module, resolver: Resolver) -> Iterator[Cors]:
    for call in module.calls:
        library, options = _library(module, call)
        if not library:
            continue
        scope = Scope(module, function=module.function_of(call))
        if guarded(resolver, call, scope) is False:
            continue
        known, closed = _options(options, resolver, scope)
        if library == "flask":
            yield from _flask(known, closed, resolver, scope, call)
        else:
            yield _configured(known, closed, resolver, scope, call, Names())


def _written(module: Module) -> Iterator[Cors]:
    """Headers that code of the application sets: that there is CORS, not what it allows."""
    for node in module.nodes:
        if isinstance(node, ast.Constant) and str(node.value).startswith("Access-Control-Allow-"):
            reason = f"{module.path} writes the headers of CORS by hand"
            yield Cors(Names(unknown=reason), Names(unknown=reason), True, (place(module, node),))
            return


def _library(module: Module, call: ast.Call) -> tuple[str, list[ast.keyword]]:
    name = module.qualify(call.func)
    if name.endswith("flask_cors.CORS") or (name.endswith(".CORS.init_app") and "flask_cors" in module.text):
        return "flask", call.keywords
    if name.endswith("CORSMiddleware"):
        return "starlette", call.keywords
    adds = name.endswith(("add_middleware", "Middleware")) or ast.unparse(call.func).endswith("add_middleware")
    if adds and call.args and module.qualify(call.args[0]).endswith("CORSMiddleware"):
        return "starlette", call.keywords
    if adds and any(item.arg == "middleware_class" and _is_cors(module, item.value) for item in call.keywords):
        return "starlette", call.keywords
    return "", []


def _is_cors(module: Module, node: ast.expr) -> bool:
    return module.qualify(node).endswith("CORSMiddleware")


def _options(
    keywords: list[ast.keyword], resolver: Resolver, scope: Scope
) -> tuple[dict[str, tuple[ast.expr, Scope]], bool]:
    """(the options by name, each with where it stands; whether these are all)."""
    found: dict[str, tuple[ast.expr, Scope]] = {}
    closed = True
    for item in keywords:
        if item.arg is not None:
            found[item.arg] = (item.value, scope)
            continue
        value = resolver.value(item.value, scope)
        if value.kind == "literal" and isinstance(value.literal, ast.Dict):
            inner = home(value, resolver, scope)
            for key, entry in zip(value.literal.keys, value.literal.values, strict=True):
                if isinstance(key, ast.Constant):
                    found.setdefault(str(key.value), (entry, inner))
        else:
            closed = False
    return found, closed


def _configured(
    options: dict[str, tuple[ast.expr, Scope]],
    closed: bool,
    resolver: Resolver,
    scope: Scope,
    call: ast.AST,
    default: Names,
) -> Cors:
    def names(key: str, otherwise: Names) -> Names:
        if key in options:
            return listed(resolver, *options[key], known=_DJANGO)
        return otherwise if closed else Names(unknown="its ** options were not followed")

    headers = names("allow_headers", default)
    origins = next((names(key, Names()) for key in _ORIGINS if key in options), Names())
    every = any(key in options for key in _EVERY_ORIGIN)
    here = [place(scope.module, call)]
    if "allow_headers" in options:
        node, where = options["allow_headers"]
        here.append(place(where.module, node))
    return Cors(headers, origins, every, tuple(here))


def _flask(
    options: dict[str, tuple[ast.expr, Scope]], closed: bool, resolver: Resolver, scope: Scope, call: ast.Call
) -> Iterator[Cors]:
    """``CORS(app, resources={r"/api/*": {...}})``: the options of each resource, over those of all."""
    everything = Names(frozenset({"*"}))
    resources = options.get("resources")
    value = resolver.value(*resources) if resources is not None else None
    if value is None or not isinstance(value.literal, ast.Dict):
        yield _configured(options, closed, resolver, scope, call, everything)
        return
    where = home(value, resolver, scope)
    for entry in value.literal.values:
        inner = entry if isinstance(entry, ast.Dict) else resolver.value(entry, where).literal
        if isinstance(inner, ast.Dict):
            own = {
                str(key.value): (item, where)
                for key, item in zip(inner.keys, inner.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            yield _configured({**options, **own}, closed, resolver, scope, call, everything)


# --- Django -------------------------------------------------------------------------------------------


def _django(modules: list[Module], analysed: Analysed) -> Iterator[Cors]:
    """What the settings of django-cors-headers end in; without ``CORS_ALLOW_HEADERS`` its own list counts."""
    resolver = analysed.resolver
    paths = [path for path in resolver.django_settings if path in resolver.program.files.paths]
    homes = [module for path in paths if (module := resolver.program.module(path)) is not None] or modules
    headers, origins, every = _setting(homes, resolver, "CORS_ALLOW_HEADERS"), Names(), False
    for key in _ORIGINS:
        origins += (_setting(homes, resolver, key) or (Names(), ()))[0]
    for key in _EVERY_ORIGIN:
        every = every or _setting(homes, resolver, key) is not None
    middleware = next(module for module in modules if "corsheaders.middleware" in module.text)
    node = next(
        (item for item in middleware.nodes if isinstance(item, ast.Constant) and "corsheaders.m" in str(item.value)),
        middleware.tree,
    )
    if headers is None:
        [usual] = _DJANGO.values()
        yield Cors(Names(usual), origins, every, (place(middleware, node, "corsheaders without CORS_ALLOW_HEADERS"),))
    else:
        yield Cors(headers[0], origins, every, headers[1])


def _setting(homes: list[Module], resolver: Resolver, name: str) -> tuple[Names, tuple[Evidence, ...]] | None:
    for module in homes:
        defined = resolver.program.define(module, name)
        if defined is not None:
            owner, statements = defined
            return assigned(resolver, owner, statements, _DJANGO), (place(owner, statements[-1]),)
    return None
