"""Where a front end's requests go: the address that each of its API clients begins with, followed to where it comes from."""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.argument import is_public
from sentry_audit.javascript.syntax import entries, line_of, string_of, text_of, walk
from sentry_audit.javascript.variables import PUBLIC
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.following import Leading, Part
    from sentry_audit.javascript.syntax import Source

#: What a file says that gives an API's address; the search is only for which files to look into.
_TOKENS = ("API_", "_API", "BACKEND", "SERVER_URL", "baseURL", "baseUrl", "BaseUrl", "BaseURL", "apiUrl", "ApiUrl", "apiURL", "prefixUrl",
           "OpenAPI.BASE", "HttpLink", "backendUrl", "serverUrl", "apiHost", "apiBase")  # fmt: skip
_NAME = re.compile(
    rf"^(?:(?:{'|'.join(prefix.rstrip('_') for prefix in PUBLIC)}|DEFAULT|APP|BASE|MAIN|CORE|REST|HTTP|PYTHON|FASTAPI|DJANGO|FLASK)_?)*"
    r"(?:API|BACKEND|SERVER|GATEWAY|GRAPHQL)"
    r"(?:_?(?:REST|BASE|SERVER|ROOT|SERVICE|GATEWAY|BACKEND|HTTP|V\d))*(?:_?(?:URL|URI|HOST|ENDPOINT|ORIGIN|DOMAIN|ADDRESS|BASE|ROOT|PREFIX|PATH))?$",
    re.IGNORECASE,
)
_BASES = frozenset({"baseURL", "baseUrl", "prefixUrl", "BASE", "basePath"})
_LINKS = re.compile(r"(HttpLink|BatchHttpLink|createHttpLink|createUploadLink|ApolloClient|httpBatchLink|httpLink)$")
_CLIENTS = re.compile(
    r"(axios|ofetch|\$fetch|ky|got|wretch)\b|create|Client|Config|fetchBaseQuery|Api|API", re.IGNORECASE
)
_OTHERS = re.compile(r"OpenAI|Anthropic|createAuthClient|S3|Supabase|defineConfig|Sanity|Stripe", re.IGNORECASE)
_REQUESTS = re.compile(
    r"^(fetch|window\.fetch|\$fetch|ofetch|axios|ky|useFetch|request|useSWR)$|\b(axios|ky|ofetch)\.(get|post|put|patch|delete|request)$"
)
_CANDIDATE = re.compile(
    r"env\??[.\[][\"']?\w*(?:API|BACKEND|SERVER|GATEWAY)|\b(?:baseURL|baseUrl|prefixUrl)\s*:|\.baseURL\s*=|OpenAPI\.BASE|HttpLink\s*\("
    r"|\b\w*(?:api|backend|server|API|BACKEND|SERVER)_?(?:base|BASE|Base)?_?(?:url|Url|URL|uri|host|Host|HOST|Base|BASE|root|ROOT|endpoint|origin)?\b\s*(?::\s*string\s*)?[:=]",
)
#: Code that browsers never run.
_SERVER = re.compile(
    r"(^|/)(pages/api/|app/(.*/)?route\.\w+$|(middleware|proxy|instrumentation(\.\w+)?)\.\w+$|server/|scripts/|functions/|edge/)"
    r"|\.(config|server|d)\.\w+$|(^|/)(hooks\.server|entry\.server)"
)
#: What is no API at the page's origin, but a file that is served with the page.
_FILE = re.compile(r"\.\w{2,5}($|\?)")
_ENOUGH = 25


class Base(Struct, frozen=True):
    """The start of the addresses that a client asks for: one of ``parts``, the first that has a value."""

    parts: tuple[Part, ...]
    evidence: Evidence

    @property
    def variable(self) -> str:
        """The variable that gives it, ``""`` if none does."""
        return next((part.text for part in self.parts if part.kind == "env"), "")


def bases(leading: Leading) -> list[Base]:
    """The addresses of the APIs that browsers ask, each once."""
    analysis = leading.analysis
    found: dict[tuple[Part, ...], Base] = {}
    for path in _candidates(analysis):
        source = leading.source(path)
        if source is None:
            continue
        for node, where in _expressions(source):
            parts = tuple(dict.fromkeys(leading.follow(node, source)))
            if any(map(_is_start, parts)) and _in_browsers(analysis, parts):
                here = Evidence(path, line_of(where), None, None, text_of(where).partition("\n")[0][:80])
                found.setdefault(parts, Base(parts, here))
    return list(found.values())


def _is_start(part: Part) -> bool:
    """Whether an address can begin so: a literal that is a word is none."""
    return part.kind != "literal" or bool(re.match(r"(https?:)?/|$", part.text))


def _candidates(analysis: Analysis) -> list[str]:
    """The files that may give an address, those that are about the API first."""
    hits = [path for path in analysis.files.among(analysis.loading.code, _TOKENS) if not _SERVER.search(path)]
    hits = [path for path in hits if _CANDIDATE.search(analysis.files.text(path) or "")]
    return sorted(
        hits, key=lambda path: (not re.search(r"(?i)api|client|config|env|http|axios", basename(path)), path)
    )[:_ENOUGH]


def _in_browsers(analysis: Analysis, parts: tuple[Part, ...]) -> bool:
    """Whether the variables are compiled in: what only a server knows is asked by the server."""
    variables = [part for part in parts if part.kind == "env"]
    return not variables or any(is_public(analysis, part.text, part.how) for part in variables)


def _expressions(source: Source) -> Iterator[tuple[Any, Any]]:
    """(the expression of an address, the node to show for it)."""
    for node in walk(source.root):
        if node.type == "variable_declarator":
            name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
            if name is not None and value is not None and _NAME.match(text_of(name)) and _is_value(value):
                yield value, node
        elif node.type == "pair":
            key = text_of(node.child_by_field_name("key")).strip("\"'")
            value = node.child_by_field_name("value")
            if _NAME.match(key) and value is not None and _is_address(value):
                yield value, node
        elif node.type in {"call_expression", "new_expression"}:
            yield from _called(node)
        elif node.type == "assignment_expression":
            left = text_of(node.child_by_field_name("left"))
            if re.search(r"(defaults\.baseURL|OpenAPI\.BASE)$", left):
                yield node.child_by_field_name("right"), node


def _is_value(node: Any) -> bool:
    return node.type not in {
        "arrow_function",
        "function_expression",
        "object",
        "array",
        "number",
        "class",
        "true",
        "false",
        "new_expression",
    } and (node.type != "call_expression" or _is_address(node))


def _is_address(node: Any) -> bool:
    """Whether an expression reads a variable, or holds a text that is an address."""
    text = text_of(node)
    return bool(re.search(r"\benv\b|^[\"'`](https?:/)?/", text)) and node.type not in {
        "object",
        "array",
        "arrow_function",
    }


def _called(node: Any) -> Iterator[tuple[Any, Any]]:
    """What a client is made with, and what a request is sent to."""
    function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
    arguments = node.child_by_field_name("arguments")
    first = next(iter(arguments.named_children), None) if arguments is not None else None
    if function is None or first is None:
        return
    name = text_of(function)
    if first.type == "object" and not _OTHERS.search(name):
        inside, _ = entries(first)
        for key, value in inside.items():
            if (key in _BASES and _CLIENTS.search(name)) or (key in {"uri", "url"} and _LINKS.search(name)):
                yield value, node
    elif first.type in {"template_string", "binary_expression"} and _REQUESTS.search(name):
        if re.match(r"`?\$\{|[\w.(]", text_of(first)):
            yield first, node


def relative_request(leading: Leading) -> Evidence | None:
    """A request of a browser to its own origin: ``fetch("/api/…")``."""
    analysis = leading.analysis
    tokens = [f"{name}({quote}/" for name in ("fetch", ".get", ".post") for quote in ('"', "'", "`")]
    hits = [path for path in analysis.files.among(analysis.loading.code, tokens) if not _SERVER.search(path)]
    for path in hits[:8]:
        source = leading.source(path)
        for node in walk(source.root) if source is not None else ():
            if node.type != "call_expression" or not _REQUESTS.search(text_of(node.child_by_field_name("function"))):
                continue
            first = next(iter(node.child_by_field_name("arguments").named_children), None)
            text = string_of(first) if first is not None and first.type == "string" else text_of(first).strip("`")
            if text and re.match(r"/(?!/)", text) and not _FILE.search(text):
                return Evidence(path, line_of(node), None, None, text_of(node).partition("\n")[0][:80])
    return None
