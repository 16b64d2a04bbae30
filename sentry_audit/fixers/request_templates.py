"""The middleware that tags what a request sends with its id: its class, and a module of its own."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.fixers import _imports

if TYPE_CHECKING:
    from sentry_audit.fixers.pysource import Source

CLASS = "RequestIdMiddleware"
#: What a parameter's annotation, and a function's, looks like in the templates.
_TYPES = re.compile(r"(?<=\w): [A-Z]\w*(?:\[.*\])?(?=[,)])| -> \w+(?=:$)", re.MULTILINE)


class Template(Struct, frozen=True):
    """A class with the imports that it needs: module to names, none for the module itself.

    ``types`` are the modules that only its annotations need.
    """

    text: str
    imports: dict[str, tuple[str, ...]]
    types: tuple[str, ...] = ()

    def typed(self, wanted: bool) -> Template:
        """The same as it is, or without annotations."""
        if wanted:
            return self
        plain = _TYPES.sub("", self.text)
        imports = {module: names for module, names in self.imports.items() if module not in self.types}
        return replace(self, text=plain, imports=imports)


ASGI = Template(
    '''\
class {name}:
    """Tags what a request sends to Sentry with its X-Request-ID, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {{"http", "websocket"}}:
            request_id = Headers(scope=scope).get("x-request-id") or str(uuid4())
            {sdk}.set_tag("request_id", request_id)
        await self.app(scope, receive, send)
''',
    {
        "uuid": ("uuid4",),
        "sentry_sdk": (),
        "starlette.datastructures": ("Headers",),
        "starlette.types": ("ASGIApp", "Receive", "Scope", "Send"),
    },
    ("starlette.types",),
)
BASE = Template(
    '''\
class {name}(BaseHTTPMiddleware):
    """Tags what a request sends to Sentry with its X-Request-ID, or a new one."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        request_id = request.headers.get("x-request-id") or str(uuid4())
        {sdk}.set_tag("request_id", request_id)
        return await call_next(request)
''',
    {
        "uuid": ("uuid4",),
        "sentry_sdk": (),
        "starlette.middleware.base": ("BaseHTTPMiddleware", "RequestResponseEndpoint"),
        "starlette.requests": ("Request",),
        "starlette.responses": ("Response",),
    },
)
DJANGO = Template(
    '''\
class {name}:
    """Tags what a request sends to Sentry with its X-Request-ID, or a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request.headers.get("X-Request-ID") or str(uuid4())
        {sdk}.set_tag("request_id", request_id)
        return self.get_response(request)
''',
    {
        "collections.abc": ("Callable",),
        "uuid": ("uuid4",),
        "sentry_sdk": (),
        "django.http": ("HttpRequest", "HttpResponse"),
    },
    ("collections.abc", "django.http"),
)


def class_lines(source: Source, template: Template, sdk: str = "sentry_sdk") -> list[str]:
    """The lines of the class, as ``source`` is indented and quoted; ``sdk`` is what the SDK is called there."""
    text = template.text.format(name=CLASS, sdk=sdk)
    return [line if '"""' in line else source.quoted(line) for line in text.replace("    ", source.unit).splitlines()]


def module_text(source: Source, template: Template) -> str:
    """A new file with the class alone, in the style of ``source``."""
    groups: list[list[str]] = [[], [], []]
    apart = _sections(source)
    plain = sorted(module for module, names in template.imports.items() if not names)
    named = sorted(module for module, names in template.imports.items() if names)
    for module in (*plain, *named):
        names = template.imports[module]
        line = f"from {module} import {', '.join(names)}" if names else f"import {module}"
        top = module.partition(".")[0]
        groups[0 if top in sys.stdlib_module_names else 1 if top in apart else 2].append(line)
    lines = ['"""The id of a request, on everything that it sends to Sentry."""', ""]
    for group in groups:
        lines += [*group, ""] if group else []
    lines.append("")
    return source.newline.join([*lines, *class_lines(source, template), ""])


def _sections(source: Source) -> set[str]:
    """The packages that have a section of their own among the imports of ``source``, as isort can be told to."""
    imports = [item for item in source.module.tree.body if isinstance(item, ast.Import | ast.ImportFrom)]
    third = [item for item in imports if _imports.package(item) not in {"", *sys.stdlib_module_names}]
    own = {_imports.package(item) for item in third}
    return {name for name in own if len({*map(_imports.package, _imports.paragraph(third, name))}) == 1 < len(own)}
