"""Sentry's plugins of bundlers: where one is configured, with which options, and whether it is switched on.

Semantics: ``options-mapping.ts`` of getsentry/sentry-javascript-bundler-plugins; ``withSentryConfig`` of @sentry/nextjs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.conditions import guards
from sentry_audit.javascript.syntax import entries, line_of, string_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

_FUNCTIONS = frozenset(
    {"withSentryConfig", "sentryVitePlugin", "sentryWebpackPlugin", "SentryWebpackPlugin", "sentryRollupPlugin",
     "sentryEsbuildPlugin", "sentrySvelteKit", "sentryReactRouter", "sentryAstro", "sentrySolidStartVite", "sentryTanstackStart"}
)  # fmt: skip
#: What a default import of a package is, by the package.
_DEFAULTS = {"@sentry/webpack-plugin": "SentryWebpackPlugin", "@sentry/astro": "sentryAstro"}
_MARKS = re.compile(
    "|".join([*_FUNCTIONS, "@sentry/webpack-plugin", "@sentry/astro", "@sentry/nuxt/module", "@sentry/gatsby"])
)
_NESTED = ("sourceMapsUploadOptions", "unstable_sentryVitePluginOptions")
_REQUIRE = re.compile(r"""require\(\s*["'](@sentry/[\w-]+)["']\s*\)""")
_CONFIG = re.compile(
    r"(^|/)(next|vite|nuxt|astro|svelte|craco|webpack|rspack|rollup|esbuild|vue|app)\.?[\w.-]*config[\w.-]*\.\w+$|(^|/)(webpack|build|config)[\w.-]*(/[\w.-]+)?\.(js|cjs|mjs|ts)$"
)
_VARIABLE = re.compile(r"^(?:process\.env|import\.meta\.env|env|viteEnv|config\.env)\.?(?:\[[\"'])?([A-Za-z_]\w*)")
_TRUE_AT_BUILD = re.compile(
    r"^(\w+\.)*(isProd|inProd|isProduction|production|prod|IS_PROD|IS_PRODUCTION|isBuild)(\(\))?$|"
    r"^(process\.env\.NODE_ENV|mode|NODE_ENV|nodeEnv|argv\.mode|env\.mode)\s*={2,3}\s*[\"']production[\"']$|"
    r"^(process\.env\.NODE_ENV|mode|NODE_ENV|argv\.mode)\s*!={1,2}\s*[\"'](development|dev|test)[\"']$|^command\s*={2,3}\s*[\"']build[\"']$"
)
_FALSE_AT_BUILD = re.compile(
    r"^(\w+\.)*(isDev|inDev|isDevelopment|dev|isTest|isDevMode|IS_DEV)(\(\))?$|^!isServer$|"
    r"^(process\.env\.NODE_ENV|mode|NODE_ENV|argv\.mode)\s*={2,3}\s*[\"'](development|dev|test)[\"']$|"
    r"^(process\.env\.NODE_ENV|mode|NODE_ENV|argv\.mode)\s*!={1,2}\s*[\"']production[\"']$|^command\s*={2,3}\s*[\"']serve[\"']$"
)
_CONSTANTS = {
    "true": True,
    "1": True,
    "false": False,
    "0": False,
    "undefined": False,
    "null": False,
    "''": False,
    '""': False,
}
_DEPTH = 5


class Demand(Struct, frozen=True):
    """What must be so for a condition to hold while a front end is built.

    ``possible`` is false if it never does. ``variables`` must have a value, ``absent`` none; ``unclear`` was not followed.
    """

    possible: bool = True
    variables: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unclear: str = ""

    def also(self, other: Demand) -> Demand:
        """Both at once."""
        return Demand(
            self.possible and other.possible, (*self.variables, *other.variables), (*self.absent, *other.absent),
            self.unclear or other.unclear,
        )  # fmt: skip


class Plugin(Struct, frozen=True):
    """One plugin: the name of its function, its options, and whether more are spread in or handed over unseen (``open``)."""

    name: str
    source: Source
    node: Any
    options: dict[str, Any]
    open: bool = False

    @property
    def evidence(self) -> Evidence:
        """Where it stands."""
        return Evidence(self.source.path, line_of(self.node), None, None, f"{self.name}(…)")

    def option(self, *path: str) -> Any:
        """The value of an option, down through objects; None if it is not there."""
        options: dict[str, Any] = self.options
        value: Any = None
        for key in path:
            value = options.get(key)
            if value is None:
                return None
            value = resolved(value, self.source)
            options = entries(value)[0] if value.type == "object" else {}
        return value

    def conditions(self) -> list[tuple[Any, bool]]:
        """What decides whether the plugin is used at all: (condition, what it must be)."""
        return guards(self.node)


def plugins(analysis: Analysis) -> list[Plugin]:
    """The plugins in the configuration of a front end, or of a package of the repository that it uses."""
    found: list[Plugin] = []
    others = [
        item.folder
        for item in analysis.frontend.manifests.values()
        if item.folder and item.folder != analysis.frontend.folder and analysis.frontend.within(item.path)
        and item.name not in analysis.frontend.manifest.dependencies
    ]  # fmt: skip
    for path in analysis.mentioning:
        if not _MARKS.search(analysis.files.text(path) or "") or any(
            path.startswith(f"{folder}/") for folder in others
        ):
            continue
        if not analysis.takes(path):
            continue
        source = analysis.source(path)
        if source is not None:
            found += _of(source)
    return found


def _of(source: Source) -> Iterator[Plugin]:
    names = _names(source)
    for node in walk(source.root):
        if node.type in {"call_expression", "new_expression"}:
            function = node.child_by_field_name("function") or node.child_by_field_name("constructor")
            last = text_of(function).rpartition(".")[2] if function is not None else ""
            if last in names:
                yield _plugin(names[last], source, node)
        elif node.type == "string" and string_of(node) in {"@sentry/nuxt/module", "@sentry/gatsby"}:
            yield from _module(source, node)


def _names(source: Source) -> dict[str, str]:
    """The local names of the plugins' functions."""
    found = {name: name for name in _FUNCTIONS}
    for local, known in source.imports.items():
        if known.module.startswith("@sentry/"):
            name = _DEFAULTS.get(known.module, "") if known.name in {"default", "*"} else known.name
            if name in _FUNCTIONS:
                found[local] = name
    for local, value in source.constants.items():
        match = _REQUIRE.search(text_of(value))
        if match and match[1] in _DEFAULTS and value.type == "call_expression" and text_of(value).startswith("require"):
            found[local] = _DEFAULTS[match[1]]
    return found


def _plugin(name: str, source: Source, node: Any) -> Plugin:
    listed = node.child_by_field_name("arguments")
    arguments = [item for item in listed.named_children if item.type != "comment"] if listed is not None else []
    if name == "withSentryConfig":
        arguments = arguments[1:]
    options: dict[str, Any] = {}
    unseen = False
    for argument in arguments[:2]:
        value = resolved(argument, source)
        if value.type == "object":
            given, spread = entries(value)
            options |= given
            unseen = unseen or spread
        elif name != "sentryReactRouter" or argument is arguments[0]:
            unseen = True
    return _flattened(Plugin(name, source, node, options, unseen))


def _flattened(plugin: Plugin) -> Plugin:
    """With the options that frameworks take in an object of their own beside the others."""
    options = dict(plugin.options)
    for key in _NESTED:
        value = plugin.option(key)
        if value is not None and value.type == "object":
            options |= entries(value)[0]
    return Plugin(plugin.name, plugin.source, plugin.node, options, plugin.open)


def _module(source: Source, node: Any) -> Iterator[Plugin]:
    """Nuxt's module, whose options stand under ``sentry``; Gatsby's plugin, which has none."""
    options: dict[str, Any] = {}
    if string_of(node) == "@sentry/nuxt/module":
        for item in walk(source.root):
            if item.type == "pair" and text_of(item.child_by_field_name("key")) == "sentry":
                value = resolved(item.child_by_field_name("value"), source)
                options = entries(value)[0] if value.type == "object" else {}
    yield _flattened(Plugin(string_of(node) or "", source, node, options))


def resolved(node: Any, source: Source) -> Any:
    """What a constant of the file stands for, type assertions taken off."""
    for _ in range(_DEPTH):
        if node.type in {"as_expression", "satisfies_expression", "parenthesized_expression", "non_null_expression"}:
            node = node.named_children[0]
        elif node.type in {"identifier", "shorthand_property_identifier"} and text_of(node) in source.constants:
            node = source.constants[text_of(node)]
        else:
            break
    return node


def defined(analysis: Analysis, name: str) -> tuple[Evidence, str, str] | None:
    """Where the bundler's configuration gives a variable its value: (the place, the expression, the variable it reads).

    ``define`` and ``DefinePlugin``, ``env`` of next.config, an assignment to ``process.env``.
    """
    for path in analysis.files.among(filter(_CONFIG.search, analysis.loading.code), [name]):
        if (source := analysis.source(path)) is None:
            continue
        for node in walk(source.root):
            key = node.child_by_field_name("key" if node.type == "pair" else "left")
            value = node.child_by_field_name("value" if node.type == "pair" else "right")
            if node.type not in {"pair", "assignment_expression"} or key is None or value is None:
                continue
            if not re.search(rf"(?<![\w$]){re.escape(name)}[\"'\]]*$", text_of(key)):
                continue
            inner = resolved(value, source)
            if inner.type == "call_expression" and text_of(inner).startswith("JSON.stringify("):
                inner = resolved(inner.child_by_field_name("arguments").named_children[0], source)
            place = Evidence(path, line_of(node), None, None, f"{name}: {text_of(value)[:50]}")
            return place, text_of(inner)[:80], variable_of(inner)
    return None


def variable_of(node: Any) -> str:
    """The variable of the environment that an expression reads, or ``""``."""
    match = _VARIABLE.match(text_of(node).replace("?.", ".").replace("!", ""))
    return (
        match[1] if match and node.type in {"member_expression", "subscript_expression", "non_null_expression"} else ""
    )


def demand(node: Any, source: Source, wanted: bool, depth: int = 0) -> Demand:
    """What must be so while a front end is built for an expression to be true (or false: ``wanted``)."""
    text = " ".join(text_of(node).split())
    if text in _CONSTANTS or _TRUE_AT_BUILD.match(text) or _FALSE_AT_BUILD.match(text):
        known = _CONSTANTS[text] if text in _CONSTANTS else bool(_TRUE_AT_BUILD.match(text))
        return Demand(known is wanted)
    if name := variable_of(node):
        return Demand(variables=(name,)) if wanted else Demand(absent=(name,))
    inner = resolved(node, source)
    if depth > _DEPTH:
        return Demand(unclear=text[:60])
    if inner is not node:
        return demand(inner, source, wanted, depth + 1)
    if node.type in {"identifier", "shorthand_property_identifier"} and re.fullmatch(r"[A-Z][A-Z0-9_]+", text):
        return Demand(variables=(text,)) if wanted else Demand(absent=(text,))  # taken out of process.env by its name
    if node.type == "unary_expression" and text.startswith("!"):
        return demand(node.named_children[0], source, not wanted, depth + 1)
    if node.type == "call_expression" and text.startswith("Boolean("):
        return demand(node.child_by_field_name("arguments").named_children[0], source, wanted, depth + 1)
    if node.type == "binary_expression":
        return _binary(node, source, wanted, depth)
    return Demand(unclear=text[:60])


def _binary(node: Any, source: Source, wanted: bool, depth: int) -> Demand:
    operator = text_of(node.child_by_field_name("operator"))
    sides = [node.child_by_field_name(side) for side in ("left", "right")]
    if operator in {"&&", "||", "??"}:
        left, right = (demand(side, source, wanted, depth + 1) for side in sides)
        if (operator == "&&") is wanted:
            return left.also(right)
        either = [item for item in (left, right) if item.possible]
        if not either or Demand() in either:
            return Demand(possible=bool(either))
        return either[0] if len(either) == 1 else Demand(unclear=text_of(node)[:60])
    if operator in {"===", "==", "!==", "!="}:
        name = variable_of(resolved(sides[0], source))
        same = operator.startswith("=") is wanted
        if name and string_of(sides[1]):
            return Demand(variables=(name,), unclear=text_of(node)[:60]) if same else Demand()
        if name and text_of(sides[1]) in {"undefined", "null"}:
            return Demand(absent=(name,)) if same else Demand(variables=(name,))
    return Demand(unclear=text_of(node)[:60])
