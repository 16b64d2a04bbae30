"""A built front end, read and served: its scripts, and a server on this machine that gives out its files."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentry_audit.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

_LARGEST = 20_000_000
#: Where builds put what browsers load, and what of it is not for them.
_ROOTS = ("", "out", "dist", "build", "static")


def scripts(folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The scripts below ``folder`` that browsers load (text by path), and the source maps beside them.

    What Next.js keeps for its server is left out. Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}", "build the front end, and give the folder that it was built into")
    base = folder / "static" if (folder / "BUILD_ID").is_file() and (folder / "static").is_dir() else folder
    if base is folder and _has_sources(folder):
        if (page := index(folder)) is None:
            return {}, ()
        base = page.parent
    found: dict[str, str] = {}
    maps: list[str] = []
    for path in sorted(base.rglob("*")):
        if not path.is_file() or "node_modules" in path.parts:
            continue
        name = path.relative_to(folder).as_posix()
        if path.suffix in {".js", ".mjs", ".cjs", ".html", ".htm"} and path.stat().st_size <= _LARGEST:
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix in {".js", ".mjs", ".cjs"} or "<script" in text:
                found[name] = text
        elif path.name.endswith((".js.map", ".mjs.map")):
            maps.append(name)
    return found, tuple(maps)


def index(folder: Path) -> Path | None:
    """The page that a build begins with; None where only a server can give it, or nothing is built."""
    roots = _ROOTS[1:] if _has_sources(folder) else _ROOTS
    return next((folder / name / "index.html" for name in roots if (folder / name / "index.html").is_file()), None)


def _has_sources(folder: Path) -> bool:
    """Whether it is the folder of the front end itself, not what that was built into."""
    return (folder / "package.json").is_file()


class Pages:
    """A server of files, for pages that route by themselves: what is not there is the first page.

    ``with Pages(folder) as pages:`` starts it on a free port of this machine, and ends it.
    """

    def __init__(self, folder: Path) -> None:
        handler = partial(_Handler, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="pages", daemon=True)

    def __enter__(self) -> Pages:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def send_head(self) -> Any:
        """The file, or the first page where no file is asked for."""
        wanted = Path(self.translate_path(self.path))
        if not wanted.exists() and "." not in wanted.name:
            self.path = "/index.html"
        return super().send_head()

    def do_POST(self) -> None:
        """No page takes anything."""
        self.send_error(405)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it overrides
        """Say nothing."""
