"""What ``next build`` wrote: its pages and routes, what its server reads of Sentry's variables, and how it is started."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What Next.js takes for itself where nothing says so: with an address in numbers it redirects to itself (NextURL).
HOST = "localhost"
_MANIFEST = "required-server-files.json"
#: Pages and files of Next.js's own conventions.
_OWN = re.compile(
    r"^/(_not-found|_global-error|_error|_app|_document|404|500)$"
    r"|/(icon|apple-icon|opengraph-image|twitter-image|sitemap|robots|manifest)\w*(\.\w+)?$|\.(ico|png|xml|txt|webmanifest)$"
)
#: Answers probes alone: that nothing of it arrives is nobody's loss.
_PROBE = re.compile(r"/(\w+-)?(health\w*|healthcheck|health-check|ping|ready\w*|live\w*|status)$", re.IGNORECASE)
_PARAMETER = re.compile(r"\[\[?(\.\.\.)?[^\]]+\]\]?")
#: What minifiers leave of an option of init: ``dsn:process.env.SENTRY_DSN``.
_READ = re.compile(r"\b(dsn|environment|release)\s*:\s*process\.env\.([A-Za-z]\w*)")
_LARGEST = 5_000_000


class Route(Struct, frozen=True):
    """A page or route: ``kind`` is page (app/), route (app/…/route), pages or api (pages/).

    ``rendered``: by the server, at each request; ``address``: a path that it answers, with known values of its parameters.
    """

    path: str
    kind: str
    rendered: bool
    address: str = "/"


class Build(Struct, frozen=True, kw_only=True):
    """One build.

    ``dist`` is where it is (``.next``), ``folder`` where its server runs, ``argv`` what starts that, with ``{port}``;
    ``unknown`` says why that is not known. ``reads`` are the variables of init's options on the server.
    """

    dist: Path
    folder: Path
    argv: tuple[str, ...] = ()
    unknown: str = ""
    version: str = ""
    base: str = ""
    routes: tuple[Route, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()

    @property
    def static(self) -> Path:
        """The files that browsers load from ``/_next/static``."""
        return self.dist / "static"

    @property
    def renders(self) -> bool:
        """Whether its server has anything to do at requests, answers to health checks left out."""
        return any(item.rendered and not _PROBE.search(item.path) for item in self.routes)

    @property
    def major(self) -> int:
        """The major version of Next.js, 0 if it is not known."""
        return int(found[0]) if (found := re.match(r"\d+", self.version)) else 0


def read(folder: Path) -> Build | None:
    """The build in ``folder``, or in a folder of it (``.next``, or the ``distDir`` of its configuration); None if there is none.

    Raises UsageError for one that cannot be read.
    """
    dist = _dist(folder)
    if dist is None:
        return None
    required = _json(dist / _MANIFEST)
    config = required.get("config") or {}
    if config.get("output") == "export":
        return None  # a server is not what gives it
    app = _folder(dist, required, str(config.get("distDir") or ".next"))
    argv, home, unknown = _start(dist, app, required, config)
    return Build(
        dist=_whole(dist, app), folder=home, argv=argv, unknown=unknown, version=_version(home),
        base=str(config.get("basePath") or ""), routes=_routes(dist), reads=_reads(dist / "server"),
    )  # fmt: skip


def _dist(folder: Path) -> Path | None:
    places = [folder, folder / ".next", *sorted(path.parent for path in folder.glob(f"*/{_MANIFEST}"))]
    found = next((item for item in places if (item / _MANIFEST).is_file() and (item / "BUILD_ID").is_file()), None)
    if (
        found is None
        and (begun := next((item for item in places if item.name == ".next" and item.is_dir()), None)) is not None
    ):
        raise UsageError(f"{begun} has no whole build: next build did not end, or it is of next dev", "run next build")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "build it anew: next build") from error
    return found if isinstance(found, dict) else {}


def _folder(dist: Path, required: dict[str, Any], name: str) -> Path:
    """The application's folder: the one that was built, unless the build was carried elsewhere."""
    told = Path(str(required.get("appDir") or ""))
    if told.is_absolute() and os.path.realpath(told / name) == os.path.realpath(dist):
        return told
    return Path(os.path.realpath(dist)).parents[len(Path(name).parts) - 1]


def _whole(dist: Path, app: Path) -> Path:
    """The whole build, where ``dist`` is the one of its standalone folder, which has no files for browsers."""
    if (dist / "static").is_dir():
        return dist
    standalone = next((item for item in (app, *app.parents) if item.name == "standalone"), None)
    return standalone.parent if standalone is not None and (standalone.parent / "static").is_dir() else dist


def _start(
    dist: Path, app: Path, required: dict[str, Any], config: dict[str, Any]
) -> tuple[tuple[str, ...], Path, str]:
    """(what starts it, in which folder, why that is not known)."""
    node = shutil.which("node")
    if node is None:
        return (), app, "there is no Node.js on this machine to run its server with"
    inner = str(required.get("relativeAppDir") or "")
    for home in (dist / "standalone" / inner, app):
        if (home / "server.js").is_file() and (home / "node_modules").is_dir() and config.get("output") == "standalone":
            return (node, "server.js"), home, ""
    for place in (app, *app.parents):
        script = place / "node_modules" / "next" / "dist" / "bin" / "next"
        if script.is_file():
            return (node, str(script), "start", "-H", HOST, "-p", "{port}"), app, ""
    return (), app, f"next is not installed in {app} (npm install), and the build has no standalone server"


def _version(home: Path) -> str:
    for place in (home, *home.parents):
        if (path := place / "node_modules" / "next" / "package.json").is_file():
            return str(_json(path).get("version") or "")
    return ""


def _routes(dist: Path) -> tuple[Route, ...]:
    made = _json(dist / "prerender-manifest.json").get("routes") or {}
    sources = {path: str((entry or {}).get("srcRoute") or path) for path, entry in made.items()}
    static, values = {*made, *sources.values()}, _values(sources)
    found = []
    names = _json(dist / "app-path-routes-manifest.json")
    for key in _json(dist / "server" / "app-paths-manifest.json"):
        path = str(names.get(key) or key.rpartition("/")[0] or "/")
        found.append((path, "route" if key.endswith("/route") else "page", path not in static))
    for path, file in _json(dist / "server" / "pages-manifest.json").items():
        kind = "api" if path == "/api" or path.startswith("/api/") else "pages"
        found.append((path, kind, str(file).endswith(".js") and path not in static))
    concrete = {source: path for path, source in reversed(sources.items())}
    return tuple(
        Route(path, kind, rendered, concrete.get(path) or _filled(path, values))
        for path, kind, rendered in sorted(found)
        if not _OWN.search(path)
    )


def _values(sources: Mapping[str, str]) -> dict[str, str]:
    """A value of each parameter, from the pages that were made when it was built: ``/en`` of ``/[locale]``."""
    found: dict[str, str] = {}
    for path, source in sources.items():
        for name, value in zip(source.split("/"), path.split("/"), strict=False):
            if _PARAMETER.fullmatch(name):
                found.setdefault(name, value)
    return found


def _filled(path: str, values: Mapping[str, str]) -> str:
    """``path`` with a value for each parameter, 1 where none is known; optional ones are left out."""
    parts = [values.get(part) or _PARAMETER.sub("1", part) for part in path.split("/") if not part.startswith("[[")]
    return "/".join(parts) or "/"


def _reads(server: Path) -> tuple[tuple[str, str], ...]:
    found: dict[tuple[str, str], None] = {}
    for path in sorted(server.rglob("*.js")):
        if "node_modules" in path.parts or path.stat().st_size > _LARGEST:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if "process.env." in text and "dsn" in text:
            found |= dict.fromkeys((match[1], match[2]) for match in _READ.finditer(text))
    return tuple(found)
