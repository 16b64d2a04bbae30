"""The plugin of the bundler that uploads source maps and puts the release in.

Sources: docs.sentry.io/platforms/javascript/guides/nextjs/sourcemaps, …/sourcemaps/uploading/vite.
"""

from __future__ import annotations

import re
from posixpath import join
from typing import TYPE_CHECKING, Any

from sentry_audit.facts import SourceMaps
from sentry_audit.fixers._code import plural
from sentry_audit.fixers.credentials import credential, lacks
from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_packages import PLUGIN, added, ranged, refreshed
from sentry_audit.fixers.js_web import (
    NotClear,
    Patch,
    add_entry,
    analysis_of,
    answered,
    bad_of,
    is_typed,
    package_of,
    pair_of,
    parsed,
    project_style,
    refusing,
)
from sentry_audit.fixing import Edit, Refusal
from sentry_audit.javascript.bundlers import variable_of
from sentry_audit.javascript.maps import upload
from sentry_audit.javascript.syntax import FUNCTIONS, line_of, text_of, walk

if TYPE_CHECKING:
    from sentry_audit.fixing import Case, Change
    from sentry_audit.javascript.analysis import Analysis

_VITE = "@sentry/vite-plugin"
_PROJECT = "SENTRY_PROJECT"
_CREDENTIALS = [
    "org: process.env.SENTRY_ORG,",
    "project: process.env.SENTRY_PROJECT,",
    "authToken: process.env.SENTRY_AUTH_TOKEN,",
]
_NEXT = [*_CREDENTIALS, "silent: !process.env.CI,", "sourcemaps: { deleteSourcemapsAfterUpload: true },"]
_CLI = (
    "sentry-cli sourcemaps inject build",
    "sentry-cli sourcemaps upload --release $SENTRY_RELEASE build",
    "find build -name '*.map' -delete",
)


@refusing
def source_maps(case: Case) -> Change:
    """Upload the maps with the plugin of the bundler, and delete them then; or no longer publish them."""
    analysis = analysis_of(case)
    facts = [fact for fact in bad_of(case) if isinstance(fact, SourceMaps)]
    if not facts:
        raise NotClear("what becomes of the source maps was not found again")
    fact = facts[0]
    if fact.topic == "serving":
        edit, what = _hidden(analysis, fact)
        return answered(f"will {what}", [edit], "review")
    if not analysis.plugins and "nothing uploads" in fact.problem:
        edits, tool = plugged(analysis)
        summary = f"will upload the source maps with {tool}, and delete them from what is served"
        return answered(f"{summary}{refreshed(analysis) if len(edits) > 1 else ''}", edits, "review")
    if (change := _given(case, analysis, fact)) is not None:
        return change
    raise NotClear(
        f"{fact.problem}: give the build what it lacks",
        "docker build --secret id=SENTRY_AUTH_TOKEN --build-arg SENTRY_ORG=… --build-arg SENTRY_PROJECT=… .",
    )


def _given(case: Case, analysis: Analysis, fact: SourceMaps) -> Change | None:
    """What the plugin reads and its build lacks, given to it; None where it lacks something else. Raises NotClear."""
    plugin = next((item for item in analysis.plugins if item.evidence in fact.evidence), None)
    wanted = upload(analysis, plugin) if plugin is not None else None
    if plugin is None or wanted is None or wanted.off:
        return None
    lacking = lacks(case, [name for name, _ in wanted.needs if name])
    if not lacking:
        return None
    organisation = plugin.option("org")
    other = variable_of(organisation) if organisation is not None else ""
    also = [other] if other and lacking[0] == _PROJECT and lacks(case, [other]) else []
    given = credential(case, lacking[0], also)
    if isinstance(given, Refusal):
        raise NotClear(given.reason, *given.commands)
    edits, first = given
    paths = ", ".join(dict.fromkeys(edit.path for edit in edits))
    return answered(f"will give {plugin.name} {plural([lacking[0], *also])} in {paths}; {first}", edits, "review")


def plugged(analysis: Analysis) -> tuple[list[Edit], str]:
    """(the configuration with Sentry's plugin, the plugin's name). Raises NotClear."""
    package_of(analysis)
    framework = analysis.frontend.framework
    if framework == "nextjs":
        return [_next(analysis)], "withSentryConfig"
    if framework == "vite":
        return _vite(analysis), "sentryVitePlugin"
    raise NotClear(f"a {framework} front end is built by a tool whose configuration is not edited by itself", *_CLI)


# --- Next.js ------------------------------------------------------------------------------------------


def _next(analysis: Analysis) -> Edit:
    if package_of(analysis) != "@sentry/nextjs":
        raise NotClear("withSentryConfig is of @sentry/nextjs, which the front end does not depend on")
    major = analysis.major("@sentry/nextjs")
    if major is not None and major < 8:
        raise NotClear(f"@sentry/nextjs {major} takes other options of withSentryConfig: upgrade it first")
    path = analysis.config_path("next.config")
    if path is None:
        typed = is_typed(analysis) and (analysis.major("next") or 15) >= 15
        rows = ['import { withSentryConfig } from "@sentry/nextjs";', "", "export default withSentryConfig({}, {"]
        rows += [*(f"  {option}" for option in _NEXT), "});", ""]
        target = join(analysis.frontend.folder, f"next.config.{'ts' if typed else 'mjs'}")
        return Edit(target, project_style(analysis).written("\n".join(rows)))
    patch = Patch(parsed(analysis, path))
    node = _exported(patch)
    imports = Imports(patch)
    function = imports.by_name("@sentry/nextjs", "withSentryConfig")
    lead, style = patch.indent_of(node), patch.style
    options = [style.written(f"  {option}") for option in _NEXT]
    text = text_of(node)
    inner = "".join(f"{style.end}{lead}{option}" for option in options)
    patch.replace(node, f"{function}({text}, {{{inner}{style.end}{lead}}})")
    imports.flush()
    return patch.edit()


def _exported(patch: Patch) -> Any:
    """What a configuration exports, as an expression."""
    source = patch.source
    node = source.default
    if node is None:
        assigned = [
            child.named_children[0]
            for child in source.root.named_children
            if child.type == "expression_statement" and child.named_children[:1]
            and child.named_children[0].type == "assignment_expression"
            and text_of(child.named_children[0].child_by_field_name("left")) == "module.exports"
        ]  # fmt: skip
        node = assigned[0].child_by_field_name("right") if len(assigned) == 1 else None
    if node is None or node.type in {"function_declaration", "class_declaration"}:
        raise NotClear(
            f"what {source.path} exports was not followed", "export default withSentryConfig(nextConfig, { … });"
        )
    return node


# --- Vite ---------------------------------------------------------------------------------------------


def _vite(analysis: Analysis) -> list[Edit]:
    path = analysis.config_path("vite.config")
    if path is None:
        raise NotClear(f"there is no vite.config to put {_VITE} into", f"npm install --save-dev {_VITE}")
    patch = Patch(parsed(analysis, path))
    config, plugins = _config(patch)
    imports = Imports(patch)
    function = imports.by_name(_VITE, "sentryVitePlugin")
    _listed(patch, plugins, function, _vite_options(analysis, patch, config))
    _with_maps(patch, config)
    imports.flush()
    edits = [patch.edit()]
    manifest = analysis.frontend.manifest
    if _VITE not in manifest.dependencies:
        section = manifest.dependencies.get("vite", ("", "devDependencies", None))[1]
        text = added(analysis.files.text(manifest.path) or "", section, _VITE, ranged(analysis, PLUGIN))
        edits.append(Edit(manifest.path, text))
    return edits


def _listed(patch: Patch, plugins: Any, function: str, rows: list[str]) -> None:
    """Call the plugin behind the others, each on a row of its own: its options take several."""
    style = patch.style
    others = [child for child in plugins.named_children if child.type != "comment"]
    remarked = len(others) < len(plugins.named_children)
    single = plugins.start_point[0] == plugins.end_point[0]
    lined = bool(others) and others[-1].start_point[0] != plugins.start_point[0]
    lead = patch.indent_of(others[-1]) if lined else patch.indent_of(plugins)
    own = lead if lined or (others and not single) else lead + style.indent
    inner = "".join(f"{style.end}{own}{style.indent}{style.written(row)}" for row in rows)
    call = f"{function}({{{inner}{style.end}{own}}})"
    if single and not remarked:
        texts = [*map(text_of, others), call]
        patch.replace(plugins, f"[{''.join(f'{style.end}{own}{text},' for text in texts)}{style.end}{lead}]")
        return
    if not others:
        raise NotClear(f"the plugins of {patch.source.path} are a comment only", "plugins: [sentryVitePlugin()]")
    patch.insert(others[-1].end_byte, f",{style.end}{own}{call}" if lined else f", {call}")


def _config(patch: Patch) -> tuple[Any, Any]:
    """(the object of the configuration, its list of plugins): the outermost that there is."""
    found = []
    for node in walk(patch.source.root):
        if node.type == "pair" and text_of(node.child_by_field_name("key")) == "plugins":
            value = node.child_by_field_name("value")
            if value.type == "array":
                found.append((node.parent, value))
    if not found:
        raise NotClear(
            f"the plugins of {patch.source.path} are no list that could be added to",
            "plugins: [react(), sentryVitePlugin()]",
        )
    config, plugins = min(found, key=lambda pair: _depth(pair[0]))
    return config, plugins


def _depth(node: Any) -> int:
    depth = 0
    while node.parent is not None:
        node, depth = node.parent, depth + (node.parent.type == "object")
    return depth


def _built_to(patch: Patch, config: Any) -> str:
    """The folder that Vite builds to."""
    build = pair_of(config, "build")
    value = build.child_by_field_name("value") if build is not None and build.type == "pair" else None
    out = pair_of(value, "outDir") if value is not None and value.type == "object" else None
    folder = (
        text_of(out.child_by_field_name("value")).strip("\"'`") if out is not None and out.type == "pair" else "dist"
    )
    if not re.fullmatch(r"[\w./-]+", folder):
        raise NotClear(f"where {patch.source.path} builds to was not followed")
    return folder.rstrip("/")


def _vite_options(analysis: Analysis, patch: Patch, config: Any) -> list[str]:
    folder = _built_to(patch, config)
    rows = [f'sourcemaps: {{ filesToDeleteAfterUpload: ["{folder}/**/*.map"] }},']
    typed = patch.source.path.endswith(("ts",))
    if not typed or "@types/node" in analysis.frontend.manifest.dependencies or "process.env" in patch.source.text:
        rows = [*_CREDENTIALS, *rows]
    return rows


def _with_maps(patch: Patch, config: Any) -> None:
    """Let the build make source maps, without a word of them in the bundle."""
    hidden = f"sourcemap: {patch.style.quoted('hidden')}"
    build = pair_of(config, "build")
    if build is None:
        lined = config.start_point[0] != config.end_point[0]
        style, lead = patch.style, patch.indent_of(pair_of(config, "plugins"))
        inner = f"{style.end}{lead}{style.indent}{hidden},{style.end}{lead}" if lined else f" {hidden} "
        add_entry(patch, config, f"build: {{{inner}}}")
        return
    value = build.child_by_field_name("value") if build.type == "pair" else None
    if value is None or value.type != "object":
        raise NotClear(f"what {patch.source.path} says of the build was not followed", f"build: {{ {hidden} }}")
    if (known := pair_of(value, "sourcemap")) is None:
        add_entry(patch, value, hidden)
    elif text_of(known.child_by_field_name("value")) in {"false", "true"}:
        patch.replace(known.child_by_field_name("value"), patch.style.quoted("hidden"))


# --- what is published --------------------------------------------------------------------------------


def _hidden(analysis: Analysis, fact: SourceMaps) -> tuple[Edit, str]:
    """(the configuration that no longer publishes the maps, what that does in words)."""
    here = fact.evidence[0]
    patch = Patch(parsed(analysis, here.path or ""))
    for node in walk(patch.source.root):
        if node.type != "pair" or line_of(node.child_by_field_name("value")) != here.line:
            continue
        key, value = text_of(node.child_by_field_name("key")), node.child_by_field_name("value")
        if key == "sourcemap" and value.type not in FUNCTIONS:
            if not analysis.plugins:
                patch.replace(value, "false")
                return patch.edit(), "no longer make the source maps that are published with the bundle"
            patch.replace(value, patch.style.quoted("hidden"))
            if _deleted(analysis, patch):
                return patch.edit(), "delete the source maps from what is served, once they are uploaded"
            return patch.edit(), "no longer name the source maps in the bundle; they are still beside it"
        if key == "productionBrowserSourceMaps":
            patch.replace(value, "false")
            return patch.edit(), "no longer publish the source maps with the bundle"
    raise NotClear(f"what publishes the maps at {here} was not found again")


def _deleted(analysis: Analysis, patch: Patch) -> bool:
    """Let the one plugin of the file delete what it has uploaded; False where that is not plain.

    The option is there since 2.3 (CHANGELOG of getsentry/sentry-javascript-bundler-plugins).
    """
    known = re.match(r"(\d+)(?:\.(\d+))?", analysis.version(_VITE))
    if known is not None and (int(known[1]), int(known[2] or 99)) < (2, 3):
        return False
    calls = [item for item in analysis.plugins if item.name == "sentryVitePlugin" and item.source is patch.source]
    if len(calls) != 1 or calls[0].open:
        return False
    arguments = calls[0].node.child_by_field_name("arguments").named_children
    if not arguments or arguments[0].type != "object":
        return False
    options = arguments[0]
    config, _ = _config(patch)
    files = patch.quoted(f"{_built_to(patch, config)}/**/*.map", options)
    entry = f"filesToDeleteAfterUpload: [{files}]"
    maps = pair_of(options, "sourcemaps")
    if maps is None:
        add_entry(patch, options, f"sourcemaps: {{ {entry} }}")
        return True
    value = maps.child_by_field_name("value") if maps.type == "pair" else None
    if value is None or value.type != "object":
        return False
    add_entry(patch, value, entry)
    return True


ECOSYSTEM = "npm"
FIXERS = {"source-maps": source_maps}
