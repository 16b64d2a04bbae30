"""Which file an import means, and whether anything that the framework loads leads to a file."""

from __future__ import annotations

import json
import re
from functools import cached_property
from posixpath import basename, dirname, join, normpath, splitext
from typing import TYPE_CHECKING

from sentry_audit.javascript.names import CODE, SUFFIXES, is_test
from sentry_audit.javascript.packages import relaxed
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.python.program import Files

_FROM = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["'`]([^"'`\n]+)["'`]""")
_SCRIPT = re.compile(r"""<script[^>]*\bsrc=["']([^"']+)["']""", re.IGNORECASE)
_ENTRY = re.compile(r"\bentry\s*[:=]\s*(\{[^}]*\}|\[[^\]]*\]|[^\n]*)", re.DOTALL)
_BUNDLERS = re.compile(r"(webpack|rspack)[^/]*(/[^/]+)?\.[cm]?[jt]s$")
#: Frameworks whose modules and builders load files in ways that are not followed.
DYNAMIC = ("nuxt", "angular", "gatsby")
_START = re.compile(
    r"(^|/)(instrumentation-client|_app|hooks\.client|entry\.client|root|main|index|app)\.\w+$", re.IGNORECASE
)
_ROUTE = re.compile(r"(^|/)(page|layout|template|error|global-error|not-found|loading|default)\.(tsx|ts|jsx|js)$")
_DEPTH = 8
_WIDE = 400
#: Files that each framework loads into browsers by their names, below the component's folder (or its src).
_NAMED = {
    "nextjs": r"^instrumentation-client\.\w+$|^pages/(?!api/)",
    "cra": r"^index\.(tsx|ts|jsx|js)$",
    "angular": r"^main\.ts$",
    "vue": r"^main\.\w+$",
    "nuxt": r"^(app/)?(sentry\.client\.config\.\w+|plugins/|app\.vue$)",
    "sveltekit": r"^(hooks\.client\.\w+|routes/(?!.*\+server))",
    "remix": r"^(app/)?(entry\.client|root)\.\w+$|^app/routes/",
    "gatsby": r"^(gatsby-browser|gatsby-ssr|sentry\.config)\.\w+$",
    "vite": r"$^",
    "webpack": r"$^",
}


class Loading:
    """The files of one front end, and which of them are loaded."""

    def __init__(self, files: Files, frontend: Frontend) -> None:
        self.files = files
        self.frontend = frontend
        self.aliases = self._aliases()
        self.scripts = self._scripts()
        self._imported: dict[str, frozenset[str]] = {}
        self._located: dict[tuple[str, str], str | None] = {}

    @property
    def is_followed(self) -> bool:
        """Whether a file that nothing was found to load is really not loaded."""
        return self.frontend.framework not in {"webpack", *DYNAMIC}

    def runs(self, path: str) -> bool:
        """Whether a file is loaded into browsers, as far as that can be followed."""
        return not self.is_followed or self.way(path) is not None

    def locate(self, module: str, importer: str) -> str | None:
        """The file that ``module`` means in ``importer``, None if it is no file of the repository."""
        key = (module, dirname(importer) if module.startswith(".") else "")
        if key not in self._located:
            self._located[key] = self._locate(module, importer)
        return self._located[key]

    def _locate(self, module: str, importer: str) -> str | None:
        bases = []
        if module.startswith("."):
            bases = [normpath(join(dirname(importer), module))]
        else:
            for prefix, targets in self.aliases:
                if module == prefix.rstrip("/") or (module.startswith(prefix) and (not prefix or prefix.endswith("/"))):
                    bases += [normpath(join(target, module[len(prefix) :])) for target in targets]
            package = self.frontend.manifests.get("/".join(module.split("/")[: 2 if module.startswith("@") else 1]))
            if package is not None:
                rest = module[len(package.name) :].strip("/")
                bases += [
                    join(package.folder, rest or "src/index"),
                    join(package.folder, "src", rest),
                    join(package.folder, rest or "index"),
                ]
        return next((found for base in bases for found in self._candidates(base)), None)

    def _candidates(self, base: str) -> list[str]:
        names = [base, *(base + suffix for suffix in SUFFIXES), *(join(base, f"index{suffix}") for suffix in SUFFIXES)]
        if base.endswith((".js", ".jsx")):
            names += [splitext(base)[0] + suffix for suffix in (".ts", ".tsx")]
        return [name for name in names if name in self.files.paths and name.endswith(CODE)]

    def imported(self, path: str) -> frozenset[str]:
        """The files that a file imports, by any kind of import."""
        if path not in self._imported:
            text = self.files.text(path) or ""
            modules = {match[1] for match in _FROM.finditer(text) if not _commented(text, match.start())}
            found = (self.locate(module, path) for module in modules)
            self._imported[path] = frozenset(target for target in found if target is not None)
        return self._imported[path]

    def is_entry(self, path: str) -> bool:
        """Whether the framework loads the file into browsers by its name."""
        if not self.frontend.within(path):
            return False
        below = path[len(self.frontend.folder) :].lstrip("/")
        below = below.removeprefix("src/")
        if self.frontend.framework == "nextjs" and below.startswith("app/") and _ROUTE.search(below):
            return True
        return path in self.scripts or bool(re.search(_NAMED[self.frontend.framework], below))

    def way(self, path: str) -> list[str] | None:
        """The files from one that is loaded down to ``path``; None if nothing leads there."""
        seen: dict[str, str] = {path: ""}
        level = [path]
        for _ in range(_DEPTH):
            for current in level:
                if self.is_entry(current):
                    return _back(seen, current)
            further: list[str] = []
            for importer, current in self._importing(level):
                if importer not in seen:
                    seen[importer] = current
                    further.append(importer)
            level = further[:_WIDE]
            if not level:
                return None
        return None

    def importers(self, path: str) -> list[str]:
        """The files that import ``path``, tests left out."""
        return [importer for importer, _ in self._importing([path])]

    def _importing(self, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(the importing file, which of ``paths`` it imports), from one search for the names of all of them."""
        stems = sorted({stem if len(stem) > 2 else f"/{stem}" for stem in map(_stem, paths)})
        wanted = set(paths)
        for hit in self.files.among(self.code, stems):
            for target in sorted(self.imported(hit) & wanted - {hit}):
                yield hit, target

    @cached_property
    def starts(self) -> list[str]:
        """The files that are loaded first, where an init belongs: entries by their names, no pages and no routes."""
        return [path for path in self.code if _START.search(path) and self.is_entry(path)]

    @cached_property
    def code(self) -> list[str]:
        """The files of code of the front end and of the packages that it uses, tests and examples left out."""
        starts = tuple(f"{folder}/" if folder else "" for folder in self.frontend.folders)
        paths = (path for path in self.files.paths if path.endswith(CODE) and path.startswith(starts))
        return sorted(path for path in paths if deployed(path) and not is_test(path))

    def _scripts(self) -> frozenset[str]:
        """The modules that ``index.html`` loads."""
        page = join(self.frontend.folder, "index.html")
        found = _SCRIPT.findall(self.files.text(page) or "") if page in self.files.paths else []
        if self.frontend.framework == "webpack":
            found = list(self._webpack())
        return frozenset(normpath(join(self.frontend.folder, item.lstrip("/"))) for item in found if "://" not in item)

    def _webpack(self) -> Iterator[str]:
        """The modules that a webpack configuration names as entries."""
        for path in self.code:
            if _BUNDLERS.search(path):
                for block in _ENTRY.findall(self.files.text(path) or ""):
                    for item in re.findall(r"""["']([^"']*/[^"']+)["']""", block):
                        yield from (item, *(item + suffix for suffix in SUFFIXES))

    def _aliases(self) -> list[tuple[str, list[str]]]:
        """``compilerOptions.paths`` of the nearest tsconfig, as (prefix, folders)."""
        found: list[tuple[str, list[str]]] = []
        for name in ("tsconfig.json", "tsconfig.app.json", "jsconfig.json", "tsconfig.base.json"):
            path = join(self.frontend.folder, name)
            if path not in self.files.paths:
                continue
            try:
                options = relaxed(self.files.text(path) or "{}").get("compilerOptions", {})
            except (json.JSONDecodeError, AttributeError, RecursionError):
                continue
            base = normpath(join(self.frontend.folder, str(options.get("baseUrl", "."))))
            paths = options.get("paths")
            for prefix, targets in paths.items() if isinstance(paths, dict) else ():
                folders = [
                    normpath(join(base, str(item).removesuffix("*"))) for item in targets if isinstance(targets, list)
                ]
                found.append((str(prefix).removesuffix("*"), folders))
            if "baseUrl" in options:
                found.append(("", [base]))
        source = join(self.frontend.folder, "src")
        return [
            *found,
            ("@/", [source, self.frontend.folder or "."]),
            ("~/", [join(self.frontend.folder, "app"), source]),
        ]


def _commented(text: str, at: int) -> bool:
    """Whether a place of a file is in a comment."""
    row = text[text.rfind("\n", 0, at) + 1 : at]
    if re.search(r"(^|\s)//", row):
        return True
    opened = text.rfind("/*", 0, at)  # after a blank: in a pattern of files ("src/**/*.ts") it opens nothing
    blank = opened == 0 or text[opened - 1] in " \t\n;{}(),>"
    return blank and opened > text.rfind("*/", 0, at) and text.find("*/", at) >= 0


def _stem(path: str) -> str:
    """What an import of ``path`` must contain: the name of the file, or of the folder of an ``index``."""
    name = basename(path)
    stem = splitext(name)[0] if name.startswith("sentry.") else name.partition(".")[0]
    return basename(dirname(path)) if stem == "index" else stem


def _back(seen: dict[str, str], path: str) -> list[str]:
    found = [path]
    while seen[found[-1]]:
        found.append(seen[found[-1]])
    return found
