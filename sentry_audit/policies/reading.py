"""Which policies stand in front of which front end: its own, those of what serves it, and no others."""

from __future__ import annotations

import re
from functools import cached_property
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sentry_audit.csp import HOLE
from sentry_audit.facts import Image
from sentry_audit.javascript.loading import Loading
from sentry_audit.javascript.names import SUFFIXES, is_generated, is_test
from sentry_audit.javascript.syntax import Source
from sentry_audit.mentions import POLICIES
from sentry_audit.model import Evidence
from sentry_audit.policies import hosting, javascript, nginx, python
from sentry_audit.policies.policy import Policy, for_development
from sentry_audit.policies.strings import Strings
from sentry_audit.python.paths import deployed, importable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.facts import Fact
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.python.program import Files

_NGINX = re.compile(
    r"(\.conf|\.nginx|\.conf\.(template|tmpl|tpl|j2|erb|in))$|(^|/)nginx[^/]*\.(template|tmpl|tpl)$|(^|/)sites-(available|enabled)/"
)
#: What a template leaves to the program that fills it in.
_BLANK = re.compile(r"\$\{[^}]*\}|\{\{.*?\}\}|\{%.*?%\}|<%.*?%>|__[A-Z][A-Z0-9_]+__|%[A-Za-z_.]+%|\$\w+")
#: Configurations of bundlers: the headers in them are those of their servers for development.
_BUNDLER = re.compile(r"(^|/)(vite|vitest|webpack|rspack|rsbuild|vue)\.config(\.\w+)?\.\w+$|(^|/)craco\.config\.\w+$")
#: Handlers of requests, by the names that frameworks load them by: what they set is on their answer alone.
_HANDLER = re.compile(r"(^|/)pages/api/|(^|/)app/(.*/)?route\.\w+$|(^|/)\+server\.\w+$|(^|/)server/(api|routes)/")
_HOSTING = hosting.JSON | hosting.PAGES | hosting.LINES | {"netlify.toml", "_headers"}
#: Frameworks with a server of their own, which answers with the pages.
_SERVED = frozenset({"nextjs", "nuxt", "remix", "sveltekit"})
_STATIC = ("StaticFiles(", "index.html", "django_vite", "webpack_loader", "send_from_directory", "WHITENOISE_ROOT")
_PYTHON_ROOTS = ("manage.py", "pyproject.toml", "requirements.txt", "Pipfile", "setup.py")
_NODE_STATIC = ("express.static", "sendFile(", "serveStatic", "serve-static", "fastify-static", "@fastify/static")
_PAGES = re.compile(r"html\s*=\s*True|django_vite|webpack_loader|WHITENOISE_ROOT|index\.html[\"']")
_WHERE = ("", "public", "src", "app", "static", "src/app")


class Policies:
    """The policies of a repository: each file is read once, when a front end with an init asks."""

    def __init__(self, files: Files, frontends: Sequence[Frontend], facts: Sequence[Fact]) -> None:
        self.files = files
        self.frontends = list(frontends)
        self.images = [fact for fact in facts if isinstance(fact, Image)]
        self._read: dict[str, list[Policy]] = {}
        self._sources: dict[str, Source | None] = {}

    def of(self, frontend: Frontend) -> list[Policy]:
        """The policies that browsers enforce on the pages of a front end."""
        paths = self.files.search(POLICIES)
        kit = [join(frontend.folder, f"svelte.config{suffix}") for suffix in (".js", ".ts", ".mjs")]
        paths += [path for path in kit if path in self.files.paths and path not in paths]
        return [policy for path in paths for policy in self._mine(path, frontend)]

    def _mine(self, path: str, frontend: Frontend) -> Iterator[Policy]:
        name = basename(path)
        if is_test(path) or for_development(path) or not importable(path):
            return
        if path.endswith(SUFFIXES):
            if deployed(path) and not _HANDLER.search(path) and not _BUNDLER.search(path):
                found = self._policies(path, frontend)
                if found and self._code_counts(path, frontend):
                    yield from found
        elif path.endswith(".py"):
            if deployed(path) and frontend.framework not in self._with_server(frontend):
                if self._policies(path, frontend) and self._serves(path, _STATIC, ".py"):
                    yield from self._policies(path, frontend)
        elif name in _HOSTING:
            page = name in hosting.PAGES
            near = page and path[len(frontend.folder) :].strip("/")
            if (
                deployed(path)
                and (dirname(str(near)) in _WHERE if page else True)
                and self._beside(path, frontend, page)
            ):
                yield from self._policies(path, frontend)
        elif _NGINX.search(path) or hosting.is_image(name):
            yield from self._in_front(path, frontend)

    def _with_server(self, frontend: Frontend) -> frozenset[str]:
        """The frameworks whose pages only they answer with; Next.js may also be exported as files."""
        config = self._config(frontend)
        return _SERVED - {"nextjs"} if re.search(r"output:\s*[\"']export", config) else _SERVED

    def _config(self, frontend: Frontend) -> str:
        paths = (join(frontend.folder, f"next.config{suffix}") for suffix in SUFFIXES)
        return "\n".join(self.files.text(path) or "" for path in paths if path in self.files.paths)

    def _code_counts(self, path: str, frontend: Frontend) -> bool:
        home = self._package(path)
        if home == frontend.folder:
            return True
        if any(item.folder == home for item in self.frontends):
            return False
        name = next((item.name for item in frontend.manifests.values() if item.folder == home), "")
        if name in frontend.manifest.dependencies:
            return True
        return frontend.framework not in self._with_server(frontend) and self._serves(path, _NODE_STATIC, "")

    def _package(self, path: str) -> str | None:
        """The folder of the nearest ``package.json``."""
        folder = dirname(path)
        while join(folder, "package.json") not in self.files.paths:
            if not folder:
                return None
            folder = dirname(folder)
        return folder

    def _serves(self, path: str, tokens: Sequence[str], suffix: str) -> bool:
        """Whether the program that a file is of answers with a front end's pages."""
        roots = _PYTHON_ROOTS if suffix == ".py" else ("package.json",)
        home = self._home(path, roots)
        for other in self.files.search(tokens, suffix):
            if not deployed(other) or is_test(other) or self._home(other, roots) != home:
                continue
            if suffix == ".py" and not _PAGES.search(self.files.text(other) or ""):
                continue
            if suffix == ".py" or other.endswith(SUFFIXES):
                return True
        return False

    def _home(self, path: str, roots: Sequence[str]) -> str:
        """The folder of the project that a file is of: the nearest with a manifest, else the topmost."""
        folder = dirname(path)
        while folder:
            if any(join(folder, name) in self.files.paths for name in roots):
                return folder
            folder = dirname(folder)
        return "" if any(name in self.files.paths for name in roots) else path.rpartition("/")[0].partition("/")[0]

    def _beside(self, path: str, frontend: Frontend, page: bool) -> bool:
        """Whether a file of a host is in the front end's folder, or above it and above no other."""
        folder = dirname(path)
        if frontend.within(path) and self._owner(path) is frontend:
            return True
        below = [item for item in self.frontends if not folder or f"{item.folder}/".startswith(f"{folder}/")]
        return not page and below == [frontend]

    def _owner(self, path: str) -> Frontend | None:
        around = [item for item in self.frontends if item.within(path)]
        return max(around, key=lambda item: len(item.folder), default=None)

    def _in_front(self, path: str, frontend: Frontend) -> Iterator[Policy]:
        """A configuration of nginx: of the image that has the front end, in its folder, or of the only front end."""
        owner = self._owner(path)
        copying = [image for image in self.images if image.path == path or _copies(image, path)]
        fits = [image for image in copying if self._builds(image, frontend)]
        if owner is frontend or fits or len(self.frontends) == 1:
            yield from self._policies(path, frontend)
        elif owner is None and not any(self._builds(image, item) for image in copying for item in self.frontends):
            for policy in self._policies(path, frontend):
                yield replace(policy, condition=policy.condition or f"it stands in front of {frontend.fact.name}")

    def _builds(self, image: Image, frontend: Frontend) -> bool:
        if frontend.folder and image.path.startswith(f"{frontend.folder}/"):
            return True
        sources = [join(image.context, source).strip("./") for source, _ in image.copied]
        return any(
            source == frontend.folder or source.startswith(f"{frontend.folder}/") for source in sources if source
        )

    def _policies(self, path: str, frontend: Frontend) -> list[Policy]:
        if path not in self._read:
            text = self.files.text(path) or ""
            found = [] if is_generated(text) else list(self._parsed(path, text, frontend))
            self._read[path] = [
                replace(item, texts=tuple(_BLANK.sub(HOLE, text) for text in item.texts)) for item in found
            ]
        return self._read[path]

    def _parsed(self, path: str, text: str, frontend: Frontend) -> Iterator[Policy]:
        if path.endswith(SUFFIXES):
            source = self._source(path)
            if source is None:
                here = Evidence(path, None, None, None, "syntax error")
                yield Policy((), here, unread=f"{path} could not be parsed")
            else:
                yield from javascript.read(source, self._strings(frontend))
        elif path.endswith(".py"):
            yield from python.read(path, text)
        elif basename(path) in _HOSTING or hosting.is_image(basename(path)):
            yield from hosting.read(path, text)
        else:
            yield from nginx.read(path, text)

    def _strings(self, frontend: Frontend) -> Strings:
        loading = self._loading.setdefault(frontend.fact.name, Loading(self.files, frontend))

        def imported(module: str, importer: str) -> Source | None:
            path = loading.locate(module, importer)
            return self._source(path) if path else None

        return Strings(imported)

    @cached_property
    def _loading(self) -> dict[str, Loading]:
        return {}

    def _source(self, path: str) -> Source | None:
        if path not in self._sources:
            text = self.files.text(path)
            source = Source(path, text) if text is not None and path.endswith(SUFFIXES) else None
            self._sources[path] = source if source is not None and source.error_line() is None else None
        return self._sources[path]

    def constants(self, frontend: Frontend) -> Strings:
        """What evaluates texts in the front end's files."""
        return self._strings(frontend)

    def config(self, frontend: Frontend) -> Source | None:
        """``next.config``, parsed; None if there is none."""
        paths = (join(frontend.folder, f"next.config{suffix}") for suffix in SUFFIXES)
        return next((self._source(path) for path in paths if path in self.files.paths), None)


def _copies(image: Image, path: str) -> bool:
    return any(join(image.context, source) == path for source, _ in image.copied)
