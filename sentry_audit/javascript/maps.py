"""What the configuration of a front end says of its source maps: whether a plugin uploads them, and whether browsers get them."""

from __future__ import annotations

import re
from posixpath import basename
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.bundlers import Demand, Plugin, demand, resolved, variable_of
from sentry_audit.javascript.inits import turbopack
from sentry_audit.javascript.syntax import entries, line_of, string_of, text_of, walk
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source

#: Options that switch the upload off where they are true, by their way from the plugin's options.
_OFF = (
    ("disable",),
    ("dryRun",),
    ("disableClientWebpackPlugin",),
    ("sourcemaps", "disable"),
    ("sourceMapsUploadOptions", "disable"),
)
#: Options that switch it off where they are false.
_ON = (("autoUploadSourceMaps",), ("enabled",))
_DELETES = (
    ("sourcemaps", "deleteSourcemapsAfterUpload"),
    ("sourcemaps", "filesToDeleteAfterUpload"),
    ("sourcemaps", "deleteFilesAfterUpload"),
    ("filesToDeleteAfterUpload",),
)
_REMOVED = re.compile(
    r"\b(rm|find|rimraf|del|del-cli|shx|unlink)\b[^\n]*\.map\b|\.map\b[^\n]*-delete|\\\.map\$[^\n]*\{[^\n]*(deny|return 40)"
)
_NGINX = re.compile(r"location\s+~\*?\s+[^\n{]*\.map[^{]*\{[^}]*(deny\s+all|return\s+40\d)", re.DOTALL)


class Upload(Struct, frozen=True):
    """What one plugin needs to upload: ``off`` says why it never does; ``needs`` are (variable, what for)."""

    plugin: Plugin
    off: str = ""
    needs: tuple[tuple[str, str], ...] = ()
    unclear: str = ""
    silent: bool = False


def upload(analysis: Analysis, plugin: Plugin) -> Upload:
    """What a plugin needs to upload source maps."""
    asked = Demand()
    off = ""
    for condition, wanted in plugin.conditions():
        one = demand(condition, plugin.source, wanted)
        if not one.possible:
            off = off or f"{plugin.evidence} is not used when the front end is built: {_short(condition)}"
        asked = asked.also(one)
    for path, wanted in [*((path, False) for path in _OFF), *((path, True) for path in _ON)]:
        value = plugin.option(*path)
        if value is None:
            continue
        name = ".".join(path)
        one = demand(value, plugin.source, wanted) if value.type != "string" else Demand(possible=wanted)
        if not one.possible:
            off = off or f"{_place(plugin, value)} switches it off: {name}: {_short(value)}"
        asked = asked.also(one)
    off = off or _no_maps(analysis, plugin)
    needs = [(name, f"the plugin is used only if {name} is set") for name in dict.fromkeys(asked.variables)]
    needs += _credentials(plugin)
    silent = plugin.option("silent")
    return Upload(plugin, off, tuple(needs), asked.unclear, silent is not None and text_of(silent) == "true")


def _credentials(plugin: Plugin) -> Iterator[tuple[str, str]]:
    """The variables that the token, and the project, come from; ``= why`` in place of a name for what can never be there."""
    token = plugin.option("authToken")
    if token is None or text_of(token) == "undefined":
        if not plugin.open or token is not None:
            yield "SENTRY_AUTH_TOKEN", "without it nothing is uploaded"
    elif name := _variable(token, plugin):
        yield name, "without the token nothing is uploaded"
    elif string_of(token) == "":
        yield "", f"{_place(plugin, token)} gives the plugin an empty token"
    project = plugin.option("project")
    if project is None and not plugin.open and plugin.name != "@sentry/gatsby":
        yield "SENTRY_PROJECT", "without a project nothing is uploaded"
    elif project is not None and (name := _variable(project, plugin)):
        yield name, "without a project nothing is uploaded"


def _variable(node: Any, plugin: Plugin) -> str:
    """The variable that an option comes from; ``""`` if it has a value without any, or is not followed."""
    if node.type == "binary_expression":
        sides = [resolved(node.child_by_field_name(side), plugin.source) for side in ("left", "right")]
        return variable_of(sides[0]) if text_of(sides[1]) in {"''", '""', "undefined"} or variable_of(sides[1]) else ""
    return variable_of(node)


def _no_maps(analysis: Analysis, plugin: Plugin) -> str:
    """Why there are no maps to upload, or nothing that does; ``""`` if there is no such reason."""
    if plugin.name == "sentryReactRouter" and not _build_end(analysis):
        return f"{plugin.evidence} uploads nothing: react-router.config has no sentryOnBuildEnd"
    if plugin.name == "sentryVitePlugin" and analysis.frontend.framework in {"vite", "cra"}:
        files = [source for source in _configs(analysis, "vite.config") if source is not None]
        if plugin.source in files and not any("sourcemap:" in item.text.replace(" ", "") for item in files):
            return f"{plugin.evidence} finds no source maps: build.sourcemap is not set, and Vite makes none by default"
    if plugin.name.lower() == "sentrywebpackplugin":
        for source in _configs(analysis, "webpack.config"):
            value = _pair(source.root, "devtool")
            if value is not None and text_of(_at_build(value, source)) == "false":
                return f"{source.path}:{line_of(value)} makes no source maps: devtool is false"
    for source in _configs(analysis, "vite.config"):
        value = _build_option(source, "sourcemap") if plugin.name == "sentryVitePlugin" else None
        if value is not None and text_of(resolved(value, source)) == "false":
            return f"{source.path}:{line_of(value)} makes no source maps: build.sourcemap is false"
    return ""


def served(analysis: Analysis, plugins: list[Plugin]) -> tuple[str, Evidence] | None:
    """(why browsers can load the source maps, where that is said); None if nothing says so."""
    for stem, wanted in (("next.config", "productionBrowserSourceMaps"), ("vite.config", "sourcemap")):
        for source in _configs(analysis, stem):
            value = _build_option(source, wanted) if stem == "vite.config" else _pair(source.root, wanted)
            if value is None or text_of(resolved(value, source)) != "true":
                continue
            here = Evidence(source.path, line_of(value), None, None, f"{wanted}: true")
            if any(_deletes(analysis, plugin) for plugin in plugins) or _removed(analysis):
                continue
            return f"{here.path}:{here.line} publishes the source maps with the bundle, and nothing deletes them", here
    return None


def _deletes(analysis: Analysis, plugin: Plugin) -> bool:
    """Whether a plugin deletes the maps after it has uploaded them.

    @sentry/nextjs does since 9 by itself when webpack builds; with Turbopack, not where the maps were asked for.
    @sentry/react-router does in its hook at the end of the build.
    """
    for path in _DELETES:
        value = plugin.option(*path)
        if value is not None:
            return text_of(value) != "false"
    if plugin.name == "sentryReactRouter":
        return _build_end(analysis)
    if plugin.name != "withSentryConfig" or plugin.open:
        return plugin.open
    specifier = analysis.frontend.manifest.dependencies.get("@sentry/nextjs", ("", "", None))[0]
    major = re.search(r"\d+", specifier)
    return not turbopack(analysis) and (major is None or int(major[0]) >= 9)


def _build_end(analysis: Analysis) -> bool:
    """Whether the configuration of React Router calls Sentry's hook, which uploads the maps and deletes them."""
    return any("sentryOnBuildEnd" in source.text for source in _configs(analysis, "react-router.config"))


def _removed(analysis: Analysis) -> bool:
    """Whether a script, an image or a web server's configuration keeps maps from being served."""
    manifest = analysis.frontend.manifest
    texts = [*manifest.scripts.values()]
    for path in analysis.files.paths:
        name = basename(path)
        near = analysis.frontend.within(path) or "/" not in path or path.startswith((".github/", "scripts/", "deploy"))
        if near and (
            name.startswith("Dockerfile") or path.endswith((".sh", ".conf", ".yml", ".yaml")) or "nginx" in name
        ):
            if "node_modules" not in path and "lock" not in name:
                texts.append(analysis.files.text(path) or "")
    return any(_REMOVED.search(text) or _NGINX.search(text) for text in texts if ".map" in text)


def _configs(analysis: Analysis, stem: str) -> list[Source]:
    path = analysis.config_path(stem)
    source = analysis.source(path) if path is not None else None
    return [source] if source is not None else []


def _build_option(source: Source, key: str) -> Any:
    """The value of ``build.<key>`` in a configuration of Vite."""
    for item in walk(source.root):
        if item.type == "pair" and text_of(item.child_by_field_name("key")) == "build":
            value = resolved(item.child_by_field_name("value"), source)
            if value.type == "object" and key in (found := entries(value)[0]):
                return found[key]
    return None


def _pair(root: Any, key: str) -> Any:
    return next(
        (
            item.child_by_field_name("value")
            for item in walk(root)
            if item.type == "pair" and text_of(item.child_by_field_name("key")) == key
        ),
        None,
    )


def _at_build(node: Any, source: Source) -> Any:
    """What an expression is while the front end is built for deployment: of a choice that is known, the branch."""
    value = resolved(node, source)
    if value.type == "ternary_expression":
        test, one, other = value.named_children
        if not demand(test, source, True).possible:
            return resolved(other, source)
        if demand(test, source, True) == Demand():
            return resolved(one, source)
    return value


def _place(plugin: Plugin, node: Any) -> str:
    return f"{plugin.source.path}:{line_of(node)}"


def _short(node: Any) -> str:
    return " ".join(text_of(node).split())[:60]
