"""A component that tells Sentry the user's id, by the hook of the library that signs users in, below its provider.

Sources: clerk.com/docs/hooks/use-auth (``userId``), auth0.github.io/auth0-react (``user.sub``), next-auth.js.org (``useSession``;
the session holds an id only where a callback puts it there, authjs.dev/guides/extending-the-session).
"""

from __future__ import annotations

import re
from posixpath import basename, dirname, join, relpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.fixers.js_imports import Imports
from sentry_audit.fixers.js_user_calls import running
from sentry_audit.fixers.js_web import NotClear, Patch, is_typed, module_of, package_of, project_style
from sentry_audit.fixing import Edit
from sentry_audit.javascript.names import SUFFIXES
from sentry_audit.javascript.syntax import text_of, walk

if TYPE_CHECKING:
    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.syntax import Source


class Library(Struct, frozen=True):
    """A library that signs users in: what its provider and its hook are called, and how the hook's answer is read."""

    modules: tuple[str, ...]
    provider: str
    hook: str
    answer: str
    id: str


_CLERK = ("@clerk/nextjs", "@clerk/clerk-react", "@clerk/react", "@clerk/remix", "@clerk/react-router")
_LIBRARIES = (
    Library(_CLERK, "ClerkProvider", "useAuth", "{ userId: id }", ""),
    Library(("next-auth/react",), "SessionProvider", "useSession", "{ data: session }", "session?.user?.id"),
    Library(("@supabase/auth-helpers-react",), "SessionContextProvider", "useUser", "user", "user?.id"),
    Library(("@auth0/auth0-react",), "Auth0Provider", "useAuth0", "{ user }", "user?.sub"),
    Library(("@auth0/nextjs-auth0/client", "@auth0/nextjs-auth0"), "UserProvider", "useUser", "{ user }", "user?.sub"),
)
_SESSION_ID = re.compile(r"session\.user\.id\s*=|session\??\.user[?!]?\.id\b|\.\.\.session\.user,\s*id\b")
_AUGMENTED = re.compile(r"declare module ['\"](next-auth|@auth/core[\w/]*)['\"]")


def component(analysis: Analysis) -> list[Edit]:
    """Render a component below the provider of a library; empty where none is rendered.

    Raises NotClear where the library is known, and the id of its users is not.
    """
    for source in running(analysis, tuple(library.provider for library in _LIBRARIES)):
        for library in _LIBRARIES:
            local = next(
                (name for name, item in source.imports.items()
                 if item.module in library.modules and item.name == library.provider), "",
            )  # fmt: skip
            place = _place(source, local) if local else None
            if place is not None:
                if library.provider == "SessionProvider":
                    _holds_id(analysis)
                return _rendered(analysis, source, library, source.imports[local].module, place)
    return []


def _holds_id(analysis: Analysis) -> None:
    """Raise NotClear where nothing shows that the sessions of next-auth hold an id."""
    files = analysis.files
    paths = [
        path
        for path in files.search(("session", "Session"))
        if analysis.frontend.within(path) and path.endswith(SUFFIXES)
    ]
    texts = [files.text(path) or "" for path in paths]
    known = any(_SESSION_ID.search(text) for text in texts)
    v4 = analysis.major("next-auth") in {3, 4}
    if known and (not is_typed(analysis) or not v4 or any(_AUGMENTED.search(text) for text in texts)):
        return
    raise NotClear(
        "sessions of next-auth hold no id by themselves: put it there in a callback, then let useSession tell Sentry",
        "callbacks: { session({ session, token }) { session.user.id = token.sub; return session; } }",
        "Sentry.setUser(session?.user?.id ? { id: session.user.id } : null); // in an effect below SessionProvider",
    )


def _place(source: Source, local: str) -> Any:
    """The element below which the component goes: the provider, or the body of the page in it."""
    for node in walk(source.root):
        if node.type == "jsx_element" and _tag(node) == local:
            inner = [item for item in walk(node) if item.type == "jsx_element" and _tag(item) == "body"]
            return inner[0] if inner else node
    return None


def _tag(element: Any) -> str:
    return text_of(element.named_children[0].child_by_field_name("name"))


def _rendered(analysis: Analysis, source: Source, library: Library, module: str, place: Any) -> list[Edit]:
    suffix = "tsx" if is_typed(analysis) else "jsx"
    folder = _folder(analysis, source)
    beside = [basename(path) for path in analysis.loading.code if dirname(path) == folder and path != source.path]
    beside = beside or [basename(source.path)]
    upper = sum(name[:1].isupper() for name in beside) * 2 >= len(beside)
    path = join(folder, f"{'SentryUser' if upper else 'sentry-user'}.{suffix}")
    if path in analysis.files.paths or re.search(r"\bSentryUser\b", source.text):
        raise NotClear(f"{path} is there already, and sets no user")
    patch = Patch(source)
    imports = Imports(patch)
    name = imports.by_name(_module(analysis, source, path), "SentryUser")
    imports.flush()
    _insert(patch, place, f"<{name} />")
    style = project_style(analysis, path)
    return [Edit(path, style.written("\n".join(_text(analysis, library, module)))), patch.edit()]


def _text(analysis: Analysis, library: Library, module: str) -> list[str]:
    """The component, as React's own documentation would have an effect."""
    imported = [
        f'import * as Sentry from "{package_of(analysis)}";',
        f'import {{ {library.hook} }} from "{module}";',
        'import { useEffect } from "react";',
    ]
    imported.sort(key=lambda row: row.rpartition(" from ")[2])
    return [
        *(['"use client";', ""] if analysis.frontend.framework == "nextjs" and analysis.is_app_router else []),
        *imported,
        "",
        "/** Tells Sentry whose events these are: the id alone, and nobody's after signing out. */",
        "export function SentryUser() {",
        f"  const {library.answer} = {library.hook}();",
        *([f"  const id = {library.id};"] if library.id else []),
        "",
        "  useEffect(() => {",
        "    Sentry.setUser(id ? { id } : null);",
        "  }, [id]);",
        "",
        "  return null;",
        "}",
        "",
    ]


def _folder(analysis: Analysis, source: Source) -> str:
    """Where the component goes: beside the provider, or among the components where a page of Next.js renders it."""
    folder = dirname(source.path)
    if re.search(r"(^|/)(app|pages)(/|$)", folder) or folder == analysis.frontend.folder or basename(folder) == "src":
        homes = [join(analysis.frontend.folder, name) for name in ("src/components", "components", "app/components")]
        return next((home for home in homes if any(dirname(path) == home for path in analysis.loading.code)), folder)
    return folder


def _module(analysis: Analysis, source: Source, path: str) -> str:
    """How a file imports another: by the alias that it uses for that folder already, else relative to itself."""
    stem = path.rpartition(".")[0]
    for node in source.root.named_children:
        module = module_of(node) if node.type == "import_statement" else ""
        found = analysis.loading.locate(module, source.path) if module and not module.startswith(".") else None
        if found is not None and dirname(found) == dirname(path) and "/" in module:
            return f"{module.rpartition('/')[0]}/{basename(stem)}"
    modules = [module_of(node) for node in source.root.named_children if node.type == "import_statement"]
    for prefix, folders in analysis.loading.aliases:
        inside = next(
            (folder for folder in folders if prefix and path.startswith(f"{folder}/".removeprefix("./"))), None
        )
        if inside is not None and any(module.startswith(prefix) for module in modules):
            return prefix + relpath(stem, inside)
    below = relpath(stem, dirname(source.path) or ".")
    return below if below.startswith(".") else f"./{below}"


def _insert(patch: Patch, place: Any, element: str) -> None:
    """Make ``element`` the first child of a JSX element, in a row of its own."""
    opening, closing = place.named_children[0], place.named_children[-1]
    style, step = patch.style, patch.indent_of(place)
    content = patch.bytes[opening.end_byte : closing.start_byte].decode()
    if "\n" in content:
        first = next(row for row in content.split("\n")[1:] if row.strip())
        indent = first[: len(first) - len(first.lstrip())]
        patch.insert(opening.end_byte, f"{style.end}{indent}{element}")
        return
    bare = place.parent.type in {"return_statement", "arrow_function"}
    inner = step + style.indent if bare else step
    rows = [text_of(opening), f"{style.indent}{element}", f"{style.indent}{content.strip()}", text_of(closing)]
    text = f"{style.end}{inner}".join(row for row in rows if row.strip())
    patch.replace(place, f"({style.end}{inner}{text}{style.end}{step})" if bare else text)
