"""Whether code tells Sentry of an error: by a call of the SDK, or through functions of the repository that make one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.syntax import line_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

#: What sends an event. Source: @sentry/core and @sentry/react, exports.
CAPTURES = frozenset(
    {"captureException", "captureMessage", "captureEvent", "captureReactException", "captureUnderscoreErrorException",
     "captureRequestError", "captureRemixErrorBoundaryError", "reactErrorHandler", "handleErrorWithSentry",
     "createErrorHandler", "sentryOnError", "createSentryHandleError"}
)  # fmt: skip
#: Those that add the stack of components by themselves.
_WITH_STACK = frozenset({"captureReactException", "reactErrorHandler", "captureRemixErrorBoundaryError"})
_REPORTS = re.compile(
    r"(capture|report|log|track|notify|record|send).*(error|exception|crash)|^(onError|handleError|error)$",
    re.IGNORECASE,
)
#: Scopes of packages that send errors elsewhere, or nowhere.
_VENDORS = ("@datadog/", "@grafana/", "@newrelic/", "@bugsnag/", "@opentelemetry/", "@microsoft/", "@tanstack/", "@mui/",
            "@chakra-ui/", "@mantine/", "@radix-ui/", "@apollo/", "@trpc/", "@vercel/", "@amplitude/", "@segment/")  # fmt: skip
_LOCAL = re.compile(r"^(workspace:|file:|link:|portal:|git|http|\*)")
#: A component that is handed the error, or everything.
_HANDED = re.compile(r"\berr|[eE]rror=|\{\s*\.\.\.")
_DEPTH = 4


class Capture(Struct, frozen=True):
    """``sends`` is None where ``why`` says what was not followed; ``context``: with more than the error itself."""

    sends: bool | None = False
    context: bool = False
    where: Evidence | None = None
    why: str = ""


class Captures:
    """Follows calls through the files of one front end. ``console``: console.error becomes an event."""

    def __init__(self, analysis: Analysis, *, console: bool = False) -> None:
        self.analysis = analysis
        self.console = console
        self._known: dict[tuple[str, int, int], Capture] = {}

    def of(self, node: Any, source: Source, depth: int = 0) -> Capture:
        """What running ``node``, or rendering it, tells Sentry."""
        key = (source.path, node.start_byte, node.end_byte)
        if key not in self._known:
            self._known[key] = Capture()  # functions that call themselves end here
            self._known[key] = self._best(node, source, depth)
        return self._known[key]

    def handed(self, value: Any, source: Source) -> Capture:
        """What a function does that is handed on as ``value``: written there, or a name for one."""
        if value is None:
            return Capture()
        if value.type == "identifier":
            found = self._define(text_of(value), source)
            known = source.imports.get(text_of(value))
            if found is not None:
                return self.of(found[1], found[0])
            if known is not None and known.module.startswith("@sentry/") and known.name in CAPTURES:
                return Capture(
                    True, known.name in _WITH_STACK, Evidence(source.path, line_of(value), saw=text_of(value))
                )
            if known is not None and not self._is_foreign(known.module):
                return Capture(None, why=f"whether {text_of(value)} of {known.module} captures was not followed")
            return Capture()
        if value.type == "member_expression":
            owner, name = _named(value)
            if self._sends(owner, name, source):
                return Capture(True, name in _WITH_STACK, Evidence(source.path, line_of(value), saw=text_of(value)))
            found = self._define(name, source) if owner == "this" else self._member(owner, name, source)
            return self.of(found[1], found[0]) if found is not None else Capture()
        return self.of(value, source)

    def _best(self, node: Any, source: Source, depth: int) -> Capture:
        unsure = Capture()
        for found in self._each(node, source, depth):
            if found.sends:
                return found
            if found.sends is None:
                unsure = found
        return unsure

    def _each(self, node: Any, source: Source, depth: int) -> Iterator[Capture]:
        """Direct calls first, then what the functions and components that are used do."""
        used: list[tuple[Any, str, str]] = []
        for part in walk(node):
            if part.type == "call_expression" and (function := part.child_by_field_name("function")) is not None:
                owner, name = _named(function)
                if not name or _waits(part):
                    continue
                if self._sends(owner, name, source):
                    here = Evidence(source.path, line_of(part), saw=text_of(part).partition("\n")[0][:80])
                    yield Capture(True, _has_context(part, name), here)
                used.append((part, owner, name))
            elif part.type in {"jsx_self_closing_element", "jsx_opening_element"}:
                if _HANDED.search(text_of(part)):
                    used.append((part, "", text_of(part.child_by_field_name("name"))))
        if depth < _DEPTH:
            for part, owner, name in used:
                yield self._through(part, owner, name, source, depth)

    def _sends(self, owner: str, name: str, source: Source) -> bool:
        if name in CAPTURES:
            root = re.split(r"[.?(]", owner)[0] if owner else name
            known = source.imports.get(root)
            if known is not None:
                return known.module.startswith("@sentry/") or known.name == "Sentry"
            return "sentry" in owner.lower()
        return self.console and owner == "console" and name == "error"

    def _through(self, part: Any, owner: str, name: str, source: Source, depth: int) -> Capture:
        """A function, a method or a component that is used: what it does, where it is of this repository."""
        target = self._define(name, source) if owner in {"", "this"} else self._member(owner, name, source)
        if target is not None:
            where, body = target
            return self.of(body, where, depth + 1)
        root = re.split(r"[.?(]", owner)[0] if owner else name
        known = source.imports.get(root)
        if known is None or not _REPORTS.search(name) or self._is_foreign(known.module):
            return Capture()
        shown = f"{owner}.{name}" if owner else name
        here = Evidence(source.path, line_of(part), saw=text_of(part)[:80])
        return Capture(None, where=here, why=f"whether {shown} of {known.module} captures was not followed")

    def _is_foreign(self, module: str) -> bool:
        """Whether a module is a public package, which knows nothing of this application's Sentry."""
        package = "/".join(module.split("/")[: 2 if module.startswith("@") else 1])
        if package.startswith("@"):
            return package.startswith(_VENDORS)
        specifier = self.analysis.frontend.manifest.dependencies.get(package, ("", "", None))[0]
        return "sentry" not in package and not package.startswith(("~", "#")) and not _LOCAL.match(specifier)

    # --- definitions --------------------------------------------------------------------------

    def _define(self, name: str, source: Source, seen: frozenset[str] = frozenset()) -> tuple[Source, Any] | None:
        """Where ``name`` is defined: a function, a class, or a constant that holds one; through imports."""
        if "." in name:
            owner, _, last = name.rpartition(".")
            return self._member(owner, last, source)
        if name == "default" and source.default is not None:
            if source.default.type == "identifier":
                return self._define(text_of(source.default), source, seen)
            return source, source.default
        for table in (source.functions, source.classes, source.constants):
            if name in table:
                return source, table[name]
        if name in source.bound:  # const { report } = useReporting(): what the hook's function holds
            return self._called(source.bound[name][1], source, seen)
        known = source.imports.get(name) or source.exported.get(name)
        if known is not None:
            return self._imported(known.module, known.name, source, seen)
        for star in (item for key, item in source.exported.items() if key.startswith("*")):
            if (found := self._imported(star.module, name, source, seen)) is not None:
                return found
        return _method(name, source)

    def _imported(self, module: str, name: str, source: Source, seen: frozenset[str]) -> tuple[Source, Any] | None:
        path = self.analysis.loading.locate(module, source.path)
        if path is None or f"{path}:{name}" in seen:
            return None
        other = self.analysis.source(path)
        if other is None or name == "*":
            return None
        return self._define(name, other, seen | {f"{path}:{name}"})

    def _called(self, value: Any, source: Source, seen: frozenset[str]) -> tuple[Source, Any] | None:
        function = value.child_by_field_name("function") if value.type == "call_expression" else None
        if function is None or function.type != "identifier" or text_of(function) in seen:
            return None
        return self._define(text_of(function), source, seen | {text_of(function)})

    def _member(self, owner: str, name: str, source: Source) -> tuple[Source, Any] | None:
        """``logger.error``: the entry or method of that name in the file that makes ``logger``."""
        if owner in source.imports:
            known = source.imports[owner]
            path = self.analysis.loading.locate(known.module, source.path)
            other = self.analysis.source(path) if path is not None else None
            if other is None:
                return None
            if known.name == "*":
                return self._define(name, other)
            found = _method(name, other)
            return found or self._define(known.name, other)
        if owner in source.constants or owner in source.classes:
            return _method(name, source)
        return None


def _named(function: Any) -> tuple[str, str]:
    """(the owner, the name) of what is called: ``Sentry.captureException`` → ``("Sentry", "captureException")``."""
    if function.type == "member_expression":
        owner = text_of(function.child_by_field_name("object")).removesuffix("?")
        return owner, text_of(function.child_by_field_name("property"))
    return ("", text_of(function)) if function.type == "identifier" else ("", "")


def _waits(call: Any) -> bool:
    """Whether a call stands in what runs only when the user clicks: ``onClick={() => …}``."""
    node = call.parent
    while node is not None:
        if node.type == "jsx_attribute":
            name = text_of(node.named_children[0])
            return bool(re.match(r"on[A-Z]", name)) and name != "onError"
        node = node.parent
    return False


def _method(name: str, source: Source) -> tuple[Source, Any] | None:
    """The method, field or entry called ``name`` of a class or an object of the file."""
    for node in walk(source.root):
        if node.type in {"method_definition", "public_field_definition", "field_definition", "pair"}:
            key = (
                node.child_by_field_name("name")
                or node.child_by_field_name("property")
                or node.child_by_field_name("key")
            )
            if key is not None and text_of(key).strip("\"'") == name:
                return source, node.child_by_field_name("body") or node.child_by_field_name("value") or node
    return None


def _has_context(call: Any, name: str) -> bool:
    """Whether an event gets more than the error: a second argument, a scope around the call, the stack of components."""
    arguments = call.child_by_field_name("arguments")
    if name in _WITH_STACK or (arguments is not None and len(arguments.named_children) > 1):
        return True
    node = call.parent
    while node is not None:
        if node.type == "call_expression" and re.match(
            r"[\w.$]*(withScope|configureScope)$", text_of(node.child_by_field_name("function"))
        ):
            return True
        node = node.parent
    return False


def attribute(element: Any, name: str) -> Any:
    """The value of the attribute ``name`` of a JSX element (the expression in braces); None if it has none."""
    for child in element.named_children:
        if child.type == "jsx_attribute" and text_of(child.named_children[0]) == name:
            value = child.named_children[-1]
            return value.named_children[0] if value.type == "jsx_expression" and value.named_children else value
    return None
