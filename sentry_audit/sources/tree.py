"""The audited tree: which files count, each read at most once, and which of them mention something."""

from __future__ import annotations

import errno
import os
import stat
from functools import cached_property
from posixpath import basename, dirname
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.errors import NothingAudited
from sentry_audit.mentions import TOKENS
from sentry_audit.model import Evidence, Problem
from sentry_audit.paths import Paths
from sentry_audit.sources import ahead, git
from sentry_audit.sources.walk import dotenvs, is_dotenv, ours, walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

MEGABYTE = 1 << 20
LIMIT = MEGABYTE
LOCK_LIMIT = 20 * MEGABYTE
#: How the names of lock files end: package managers write them, and they grow large.
LOCKS = (".lock", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml")
#: Where a file with a NUL byte in it is taken to be binary.
HEAD = 8192
#: How many bytes of files are kept for the next search or for ``text``.
BUDGET = 64 * MEGABYTE

_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_Key = tuple[tuple[str, ...], str]


class _Raw(Struct, frozen=True):
    """A file as it was found: all its bytes, or its first ``HEAD`` if it is too large; or why not."""

    data: bytes = b""
    size: int = 0
    failure: str = ""
    missing: bool = False

    @property
    def whole(self) -> bool:
        return self.size <= len(self.data)

    @property
    def binary(self) -> bool:
        return b"\0" in self.data[:HEAD] and not self.data.startswith(_UTF16)


class Tree:
    """A folder as the pure core sees it; see ``Files`` in ``python/program.py``.

    ``problems`` are about files that were asked for; ``notes`` say what else was passed over.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._base = os.path.realpath(root)
        self._exclude: tuple[str, ...] = ()
        self._top = git.checkout(self._base)
        jobs = ahead.take(self._base) or (git.begin(self._base, TOKENS) if self._top else git.Jobs(None))
        self._list_job, self._forced_job = jobs.listing, jobs.forced
        self._greps: dict[_Key, git.Job] = {(TOKENS, ""): jobs.search} if jobs.search is not None else {}
        self._found: dict[_Key, list[str]] = {}
        self._texts: dict[str, str | None] = {}
        self._kept: dict[str, _Raw] = {}
        self._room = BUDGET
        self._inner: dict[str, bool] = {"": True}
        self._in_git = False
        self._extra: frozenset[str] = frozenset()

    @classmethod
    def open(cls, root: Path) -> Tree:
        """The tree at ``root``.

        git starts to list it and to look for what matters (``mentions.TOKENS``) at once, and is waited for when
        that is first asked for. Raises NothingAudited if ``root`` is not a folder that can be listed.
        """
        if root.is_file():
            raise NothingAudited(f"not a folder: {root}", f"give the folder it is in: {root.parent}")
        if not root.is_dir():
            raise NothingAudited(f"no such folder: {root}", "give the folder of the repository to audit")
        if not os.access(root, os.R_OK | os.X_OK):
            raise NothingAudited(f"cannot look into folder: {root}", "run as a user that may read it")
        return cls(root)

    def leave_out(self, patterns: Sequence[str]) -> None:
        """Leave out what ``patterns`` (as in ``.gitignore``) match; to be called before ``paths`` is read."""
        self._exclude += tuple(patterns)

    @property
    def excluded(self) -> tuple[str, ...]:
        """The patterns of what is left out."""
        return self._exclude

    # --- which files ------------------------------------------------------------------------------

    @cached_property
    def paths(self) -> Paths:
        """Every file that counts, relative to the root, with forward slashes."""
        listing = self._listing
        hidden, more = dotenvs(self._base, listing.files, listing.nested)
        if more:
            self.notes.append("very many folders: dotenv files that git ignores were looked for in some of them only")
        extra = set(hidden)
        if self._in_git and self._forced_job is not None:
            extra.update(git.names(self._forced_job.output() or b""))
        paths = Paths(ours(listing.files | hidden.keys(), self._exclude))
        self._extra = (frozenset(extra) | listing.links) & paths
        return paths

    @property
    def listed(self) -> Collection[str]:
        """The files that are committed, or would be: ``paths`` without the dotenv files that git ignores."""
        return self._listing.files

    @property
    def submodules(self) -> tuple[str, ...]:
        """Folders that are other repositories, submodules or not: they are not audited with this one."""
        return self._listing.nested

    @cached_property
    def _listing(self) -> git.Listing:
        listing = self._git_listing()
        self._in_git = listing is not None
        if listing is None:
            listing = walk(self._base, self._top)
        self.notes.extend(listing.notes)
        return listing

    def _git_listing(self) -> git.Listing | None:
        """What git lists; None if it cannot, or lists nothing because the root itself is ignored."""
        if self._list_job is None:
            if self._top is not None:
                self.notes.append("git could not be started: folders were listed without it")
            return None
        output = self._list_job.output()
        if output is None:
            self.notes.append(f"folders were listed without git, which failed: {self._list_job.reason}")
            return None
        listing = git.read_listing(self._base, output)
        return listing if listing.files or listing.nested else None

    # --- what is in one ---------------------------------------------------------------------------

    def text(self, path: str) -> str | None:
        """The decoded text of a file, line ends as they are; None, with a problem, if it cannot be read as text.

        A file that does not exist (tracked, but deleted) is None without a problem.
        """
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path: str) -> str | None:
        raw = self._raw(path)
        if raw.missing:
            return None
        reason = hint = ""
        if raw.failure:
            reason, hint = raw.failure, "make it readable for this user, or exclude it in sentry-audit.yaml"
        elif not raw.whole:
            size = raw.size / MEGABYTE
            reason = f"too large ({size:.0f} MB)" if size >= 2 else f"too large ({size:.1f} MB)"
            hint = "exclude it in sentry-audit.yaml if it is generated"
        elif raw.binary:
            reason = "not a text file: it contains NUL bytes"
            hint = "save it as UTF-8, or exclude it in sentry-audit.yaml"
        if reason:
            self._problem(path, reason, hint)
            return None
        text, note = decode(path, raw.data)
        if note:
            self.notes.append(f"{path}: {note}")
        if reason := _encoding(path, raw.data, note):
            self._problem(path, reason, "save it as UTF-8")
        return text

    def _problem(self, path: str, reason: str, hint: str) -> None:
        self.problems.append(Problem("repo", _kinds(path), reason, hint, Evidence(path, saw=reason)))

    def probe(self, paths: Iterable[str]) -> None:
        """Read those of ``paths`` that no search can find, for what they are: each is a problem."""
        for path in paths:
            raw = self._raw(path)
            if raw.failure or raw.binary or raw.data.startswith(_UTF16):
                self.text(path)

    def _raw(self, path: str) -> _Raw:
        """The file's bytes, from memory while there is room for them."""
        raw = self._kept.get(path)
        if raw is None:
            raw = self._load(path)
            if len(raw.data) <= self._room:
                self._room -= len(raw.data)
                self._kept[path] = raw
        return raw

    def _load(self, path: str) -> _Raw:
        limit = LOCK_LIMIT if path.endswith(LOCKS) else LIMIT
        try:
            descriptor = self._descriptor(path)
            if descriptor is None:
                return _Raw(failure="a link that leads out of the audited folder")
            with os.fdopen(descriptor, "rb") as file:
                size = os.fstat(descriptor).st_size
                return _Raw(file.read(HEAD if size > limit else limit), size)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return _Raw(missing=True)
        except OSError as error:
            return _Raw(failure=f"cannot be read: {error.strerror or type(error).__name__}")
        except ValueError:  # no name of a file
            return _Raw(missing=True)

    def _descriptor(self, path: str) -> int | None:
        """Open a file without leaving the root by any link; None if a link leads out."""
        folder = dirname(path)
        if folder not in self._inner:
            self._inner[folder] = git.inside(self._base, os.path.realpath(f"{self._base}/{folder}"))
        if not self._inner[folder]:
            return None
        full = f"{self._base}/{path}"
        try:
            if hasattr(os, "O_NOFOLLOW") or not os.path.islink(full):  # noqa: PTH114
                return _regular(os.open(full, _FLAGS))
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.EMLINK}:
                raise
        target = os.path.realpath(full, strict=True)
        return _regular(os.open(target, _FLAGS)) if git.inside(self._base, target) else None

    # --- which mention something ------------------------------------------------------------------

    def prefetch(self, tokens: Sequence[str], suffix: str = "") -> None:
        """Start a search without waiting for it; ``search`` with the same arguments collects it."""
        key = (tuple(tokens), suffix)
        if (
            key in self._greps
            or key in self._found
            or self._list_job is None
            or not tokens
            or not git.greppable(tokens)
            or self._wider(tokens, suffix) is not None
        ):
            return
        job = git.start_grep(self._base, tokens, suffix)
        if job is not None:
            self._greps[key] = job

    def search(self, tokens: Sequence[str], suffix: str = "") -> list[str]:
        """The text files whose name ends in ``suffix`` and that contain one of ``tokens``, as written; sorted."""
        key = (tuple(tokens), suffix)
        if key not in self._found:
            paths = self.paths
            wanted = [token.encode() for token in tokens]
            wider = self._wider(tokens, suffix)
            hits = self._grep(key) if self._in_git and wider is None else None
            if wider is not None:
                hits = self._scan(self.search(*wider), wanted, suffix)
            elif hits is None:
                hits = self._scan(paths, wanted, suffix)
            else:
                hits = {path for path in (hits & paths) - self._extra if not self._raw(path).binary}
                hits |= self._scan(self._extra, wanted, suffix)
            self._found[key] = sorted(hits)
        return list(self._found[key])

    def among(self, paths: Iterable[str], tokens: Sequence[str]) -> list[str]:
        """Those of ``paths`` that are text files and contain one of ``tokens``, in their order.

        For the files of one folder that are asked again and again: they are read once, and nothing else is.
        """
        wanted = [token.encode() for token in tokens]
        return [path for path in paths if self._mentions(path, wanted)]

    def _wider(self, tokens: Sequence[str], suffix: str) -> _Key | None:
        """An earlier search whose hits must contain those of this one: each token here contains one of its tokens."""
        for key in (*self._found, *self._greps):
            if key == (tuple(tokens), suffix):
                return None
            if suffix.endswith(key[1]) and all(any(part in token for part in key[0]) for token in tokens):
                return key
        return None

    def _grep(self, key: _Key) -> set[str] | None:
        self.prefetch(*key)
        job = self._greps.pop(key, None)
        output = job.output(allowed=(0, 1)) if job is not None else None
        return None if output is None else set(git.names(output))

    def _scan(self, paths: Iterable[str], wanted: Sequence[bytes], suffix: str) -> set[str]:
        return {path for path in paths if path.endswith(suffix) and self._mentions(path, wanted)}

    def _mentions(self, path: str, wanted: Sequence[bytes]) -> bool:
        if is_dotenv(basename(path)):
            text = self.text(path)
            return text is not None and any(token.decode() in text for token in wanted)
        raw = self._raw(path)
        if raw.missing or raw.failure or raw.binary:
            return False
        if raw.whole:
            data = raw.data
            return any(token in data for token in wanted)
        return self._mentions_large(path, wanted)

    def _mentions_large(self, path: str, wanted: Sequence[bytes]) -> bool:
        overlap = max(map(len, wanted), default=1) - 1
        try:
            descriptor = self._descriptor(path)
            if descriptor is None:
                return False
            tail = b""
            with os.fdopen(descriptor, "rb") as file:
                while block := file.read(MEGABYTE):
                    if any(token in tail + block for token in wanted):
                        return True
                    tail = (tail + block)[-overlap:] if overlap else b""
        except OSError:
            pass
        return False


def _regular(descriptor: int) -> int:
    """The descriptor, if it is a file's: reading a pipe or a device could take for ever."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def decode(path: str, data: bytes) -> tuple[str, str]:
    """The text, and what is to be said about how it was read."""
    if data.startswith(_UTF16):
        text = data.decode("utf-16", errors="replace")
        return text, "damaged UTF-16" if "\ufffd" in text else ""
    if path.endswith(".py") and b"coding" in b"".join(data[:1000].split(b"\n", 2)[:2]):
        import io
        import tokenize

        try:
            encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
            return data.decode(encoding), ""
        except (SyntaxError, LookupError, ValueError):
            pass
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("latin-1"), "not UTF-8: read as Latin-1"


def _encoding(path: str, data: bytes, note: str) -> str:
    """Why what takes a deploy definition cannot read it, though its text is known."""
    from sentry_audit.deployment.names import UTF_8, is_taken

    if data.startswith(_UTF16) and is_taken(path):
        return "UTF-16: what runs it takes UTF-8"
    return note if note and path.endswith(UTF_8) and is_taken(path) else ""


def _kinds(path: str) -> frozenset[str]:
    """The kinds of facts that cannot be known without this file."""
    from sentry_audit.deployment.names import is_taken

    if not is_taken(path):
        return _read_kinds(path)
    from sentry_audit.deployment.found import KINDS

    return KINDS | _read_kinds(path)


def _read_kinds(path: str) -> frozenset[str]:
    name = basename(path)
    if is_dotenv(name):
        return frozenset({"env_var", "dsn"})
    if name == "setup.py":
        return frozenset({"sdk_setup", "sdk_dependency"})
    if name.endswith(".py"):
        return frozenset({"sdk_setup"})
    if "Dockerfile" in name or name == "Procfile" or "compose" in name:
        return frozenset({"sdk_setup", "sdk_dependency"})
    if name.endswith((".lock", ".toml", ".cfg", ".txt", ".in", ".pip")) or name == "Pipfile":
        return frozenset({"sdk_dependency"})
    return frozenset()
