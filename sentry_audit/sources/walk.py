"""Which files count where git cannot say; and the dotenv files that git ignores but we came to read."""

from __future__ import annotations

import os
import re
import stat
from itertools import islice
from typing import TYPE_CHECKING

from sentry_audit.errors import UsageError
from sentry_audit.sources.git import Listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pathspec import GitIgnoreSpec

#: Folders that never hold the application's own code, whoever lists them.
FOREIGN = frozenset(
    {".git", ".hg", ".svn", "node_modules", ".venv", "__pycache__", ".tox", ".nox", ".mypy_cache", ".eggs",
     ".ruff_cache", ".pytest_cache", "site-packages", ".next", ".terraform"}
)  # fmt: skip
#: Folders that usually hold copies and products; where git can say that they are sources, they are listed.
PRODUCTS = frozenset({"dist", "build", "vendor"})
_WALKED_BY = FOREIGN | {"venv"}  # the standard library has a package of this name

#: A folder that is deeper than this is searched for dotenv files only if it holds a manifest.
DOTENV_DEPTH = 3
#: One folder costs 9 µs: this bounds the search to about 40 ms, whatever the size of the tree.
DOTENV_FOLDERS = 4_000
_MANIFESTS = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "package.json", "manage.py"})
_MANIFEST_STARTS = ("requirements", "Dockerfile", "Procfile", "Pipfile", "docker-compose", "compose.", ".env")
_SUBMODULE = re.compile(r"\s*path\s*=\s*(.*\S)")
#: What is read of an ignore file.
_IGNORE_LIMIT = 1 << 20

Rules = list[tuple[str, "GitIgnoreSpec"]]


def is_dotenv(name: str) -> bool:
    """Whether a file of this name (no folder) holds environment variables."""
    return name.startswith(".env") or (name.endswith(".env") and name != ".xcode.env")


def walk(root: str, top: str | None) -> Listing:
    """List ``root`` like git would: by ``.gitignore``, without other repositories and without links to folders.

    ``top`` is the checkout that ``root`` is a part of, if it is one.
    """
    files: set[str] = set()
    links: set[str] = set()
    nested: set[str] = set()
    notes: list[str] = []
    stack = [("", _rules_above(root, top))]
    while stack:
        folder, rules = stack.pop()
        prefix = f"{folder}/" if folder else ""
        try:
            with os.scandir(f"{root}/{folder}") as scanned:
                entries = {entry.name: entry for entry in scanned}
        except OSError as error:
            notes.append(f"{folder or '.'}/ cannot be listed: {error.strerror}")
            continue
        if folder and "pyvenv.cfg" in entries:
            continue
        if folder and top is not None and ".git" in entries:
            nested.add(folder)
            continue
        if ".gitignore" in entries and (spec := _spec(f"{root}/{prefix}.gitignore")):
            rules = [(f"{root}/{prefix}", spec), *rules]
        for name, entry in entries.items():
            path = prefix + name
            if entry.is_dir(follow_symlinks=False):
                if name in _WALKED_BY or _ignored(rules, f"{root}/{path}/"):
                    continue
                if name in PRODUCTS:
                    notes.append(f"{path}/ was left out: without git, it is taken for a copy or a build product")
                    continue
                stack.append((path, rules))
            elif (entry.is_file(follow_symlinks=False) or _file_link(entry)) and not _ignored(rules, f"{root}/{path}"):
                files.add(path)
                if entry.is_symlink():
                    links.add(path)
    if top == root:  # submodules that were never checked out are empty folders
        declared = (_SUBMODULE.match(line) for line in _lines(f"{root}/.gitmodules"))
        nested.update(found[1] for found in declared if found and os.path.isdir(f"{root}/{found[1]}"))  # noqa: PTH112
    return Listing(frozenset(files), frozenset(links), tuple(sorted(nested)), tuple(sorted(notes)))


def passes_over(root: str, path: str) -> bool:
    """Whether ``walk`` would not list a new file at ``path``, where no checkout is at or above ``root``."""
    rules: Rules = []
    folder = root
    for name in path.split("/"):
        if spec := _spec(f"{folder}/.gitignore"):
            rules = [(f"{folder}/", spec), *rules]
        folder = f"{folder}/{name}"
        whole = folder == f"{root}/{path}"
        if _ignored(rules, folder if whole else f"{folder}/"):
            return True
        if not whole and name in _WALKED_BY | PRODUCTS:
            return True
    return False


def ours(paths: Collection[str], exclude: Sequence[str]) -> frozenset[str]:
    """``paths`` without what lies in foreign folders or matches ``exclude`` (patterns as in ``.gitignore``)."""
    text = "\0".join(paths)
    foreign = {name for name in FOREIGN if f"{name}/" in text}
    if foreign:
        inside = re.compile(f"(?:^|/)(?:{'|'.join(map(re.escape, sorted(foreign)))})/").search
        paths = [path for path in paths if not inside(path)]
    if not exclude:
        return frozenset(paths)
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(exclude)
    except ValueError as error:
        raise UsageError(f"exclude: {error}", "write patterns as in .gitignore") from error
    return frozenset(path for path in paths if not spec.match_file(path))


def _file_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink() and not entry.is_dir()
    except OSError:  # a loop: listed, and a problem only if somebody asks for it
        return True


def _rules_above(root: str, top: str | None) -> Rules:
    """The rules of the folders above ``root`` in its checkout; none if they would ignore ``root`` itself."""
    if top is None:
        return []
    places = [(top, f"{top}/.git/info/exclude")]
    folder = top
    for part in [part for part in root.removeprefix(top).split("/") if part]:
        places.append((folder, f"{folder}/.gitignore"))
        folder = f"{folder.rstrip('/')}/{part}"
    rules: Rules = []
    for base, file in places:
        if os.path.isfile(file) and (spec := _spec(file)):  # noqa: PTH113
            rules.insert(0, (base.rstrip("/") + "/", spec))
    return [] if root != top and _ignored(rules, f"{root}/") else rules


def _spec(file: str) -> GitIgnoreSpec | None:
    from pathspec import GitIgnoreSpec

    lines = _lines(file)
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    try:
        return GitIgnoreSpec.from_lines(kept) if kept else None
    except ValueError:  # one pattern that git would pass over
        return GitIgnoreSpec.from_lines([line for line in kept if _valid(line)])


def _lines(file: str) -> list[str]:
    """The lines of a file of git's own; none if it is a link, as git follows none there, or cannot be read."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return []
        with open(file, "rb") as handle:  # noqa: PTH123
            return handle.read(_IGNORE_LIMIT).decode("utf-8-sig", "surrogateescape").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _valid(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _ignored(rules: Rules, path: str) -> bool:
    for base, spec in rules:
        verdict = spec.check_file(path[len(base) :]).include
        if verdict is not None:
            return verdict
    return False


def dotenvs(root: str, files: Iterable[str], skip: Collection[str]) -> tuple[dict[str, bool], bool]:
    """Dotenv files on disk, ignored or not → whether each is a link; and whether folders were passed over.

    Searched: each folder of at most ``DOTENV_DEPTH`` levels that holds listed files (or lies above one that
    does), each deeper one that holds a manifest, and the folders of ``root`` that hold no listed file at all
    (``secrets/.env``). A dotenv file is read from the folder that something is started in, and that folder
    has a manifest or is not deep.
    """
    folders = _folders(files)
    found: dict[str, bool] = {}
    for folder in folders[:DOTENV_FOLDERS]:
        if folder:
            _collect(root, folder, found, 20_000)
    known = set(folders)
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if is_dotenv(entry.name):
                    _add(root, entry.name, found)
                elif (
                    entry.name not in known
                    and entry.name not in skip
                    and entry.name not in FOREIGN | PRODUCTS
                    and entry.is_dir(follow_symlinks=False)
                ):
                    _collect(root, entry.name, found, 1_000)
    except OSError:
        pass
    return found, len(folders) > DOTENV_FOLDERS


def _folders(files: Iterable[str]) -> list[str]:
    folders = {""}
    holding: set[str] = set()
    for path in files:
        folder, _, name = path.rpartition("/")
        holding.add(folder)
        if name in _MANIFESTS or (name[-3:] != ".py" and name.startswith(_MANIFEST_STARTS)):
            folders.add(folder)
    for folder in holding:
        near = folder if folder.count("/") < DOTENV_DEPTH else "/".join(folder.split("/")[:DOTENV_DEPTH])
        while near not in folders:
            folders.add(near)
            near = near.rpartition("/")[0]
    return sorted(sorted(folders), key=lambda folder: folder.count("/"))


def _collect(root: str, folder: str, found: dict[str, bool], most: int) -> None:
    """Look at the first ``most`` names in one folder: where nothing is listed, there may be a million data files."""
    try:
        with os.scandir(f"{root}/{folder}") as entries:
            for entry in islice(entries, most):
                if ".env" in entry.name and is_dotenv(entry.name):
                    _add(root, f"{folder}/{entry.name}", found)
    except OSError:
        return


def _add(root: str, path: str, found: dict[str, bool]) -> None:
    full = f"{root}/{path}"
    link = os.path.islink(full)  # noqa: PTH114
    if os.path.isfile(full) or (link and not os.path.isdir(full)):  # noqa: PTH112, PTH113
        found[path] = link
