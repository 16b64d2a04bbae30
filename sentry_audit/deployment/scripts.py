"""Shell scripts that deploy, also through one another."""

from __future__ import annotations

import re
from itertools import takewhile
from posixpath import basename, dirname, join, normpath
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from sentry_audit.deployment import knative
from sentry_audit.deployment.branches import branches
from sentry_audit.deployment.bundling import bundled_in
from sentry_audit.deployment.environments import canonical, is_parameter, names_environment
from sentry_audit.deployment.gcloud import Change, setting, understand
from sentry_audit.deployment.inputs import Input, Inputs, Part
from sentry_audit.deployment.lines import Lines
from sentry_audit.deployment.location import Place, agreed, configured, flag, variables_of
from sentry_audit.deployment.manifests import LIVE, Manifests
from sentry_audit.deployment.places import Places
from sentry_audit.deployment.words import evaluated, plain, secret_of
from sentry_audit.deployment.written import TAKES, writes
from sentry_audit.facts import BUILDS
from sentry_audit.scanners.bundling import is_bundler
from sentry_audit.scanners.shell import assigned, here_documents, simple_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sentry_audit.deployment.environments import Hint
    from sentry_audit.deployment.found import Found
    from sentry_audit.deployment.written import Write
    from sentry_audit.facts import Setting
    from sentry_audit.python.program import Files

_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_SOURCES = re.compile(r"^[ \t]*(?:source|\.)[ \t]+([^\n;&|#]+?)[ \t]*$", re.MULTILINE)
_SUBSTITUTED = re.compile(r"\$\([^/]*\)|`[^`]*`")
#: What a text must hold for anything in it to deploy, build or hand on.
_WORTH = re.compile(
    r"gcloud|docker|podman|\.sh\b|\b(npm|pnpm|yarn|bun|npx|next|vite|turbo|nx|ng)\b[^\n]*\b(build|generate)|envsubst|\.ya?ml\b|(^|\s)(\./|scripts?/|bin/)[\w-]+"
)
_DEPTH = 3


def is_script(path: str) -> bool:
    """Whether the name is a shell script's."""
    return path.endswith((".sh", ".bash"))


class _Shell(Struct, frozen=True):
    """One shell: the text it runs, where that stands, and what it and its processes see."""

    path: str
    text: str
    whole: str
    origin: str
    hints: Sequence[Hint]
    folder: str
    start: int
    depth: int
    variables: Mapping[str, str]
    env: tuple[Setting, ...]


class Scripts:
    """Reads scripts of one tree; ``called`` are those that something calls with arguments.

    ``inputs`` are the files that commands take; those that were made belong to one run, and are forgotten with it, like
    the ``place`` where gcloud was told to work.
    """

    def __init__(self, files: Files, found: Found) -> None:
        self.files = files
        self.found = found
        self.places = Places(files)
        self.inputs = Inputs(files, self.places)
        self.called: set[str] = set()
        self.place = Place()
        self.follow: Callable[[Change, str, Sequence[Hint], Place], bool] = lambda *_: False
        self._manifests: dict[str, Manifests] = {}

    def forget(self) -> None:
        """Begin a run: what another one made, and where it worked, is gone."""
        self.inputs.made.clear()
        self.place = Place()

    def script(
        self,
        path: str,
        arguments: Sequence[str] = (),
        hints: Sequence[Hint] = (),
        origin: str = "script",
        depth: int = 0,
        folder: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """The deployments of a script that is started in ``folder`` with ``arguments``, and sees ``variables``."""
        text = self.files.text(path) or ""
        folder = self._folder(path) if folder is None else folder
        given = {**(variables or {}), **{str(number): value for number, value in enumerate(arguments, 1)}}
        more = [(value, "the script's argument") for value in arguments if "$" not in value]
        self.text(path, text, given, [*hints, *more, *_told_by(variables or {})], origin, depth, folder=folder)

    def _folder(self, path: str) -> str:
        """Where a script is taken to be started: its own folder if an image can be built there, else the root."""
        folder = dirname(path)
        built = any(
            join(folder, name) in self.files.paths for name in ("Dockerfile", "package.json", "requirements.txt")
        )
        return folder if built or join("", "Dockerfile") not in self.files.paths else ""

    def text(
        self,
        path: str,
        text: str,
        variables: dict[str, str] | None = None,
        hints: Sequence[Hint] = (),
        origin: str = "script",
        depth: int = 0,
        start: int = 1,
        folder: str = "",
        whole: str = "",
        env: tuple[Setting, ...] = (),
    ) -> None:
        """The deployments in shell ``text``, which stands in ``path`` from line ``start`` on.

        ``whole`` is the text of the whole file, when ``text`` is a part of it; ``env`` is what its processes see.
        """
        whole = whole or text
        if not _WORTH.search(text) and not any(word in whole for word in TAKES):
            return
        text, documents = here_documents(text, len(self.manifests.documents))
        for name, (body, line) in documents.items():
            self.manifests.documents[name] = (body, line + start - 1)
            self.inputs.made[name] = Input((Part(path, "\n" * (line + start - 2) + body),))
        given = {**self._sourced(text, folder, path), **(variables or {})}
        text = plain(text, given)
        told = {canonical(value) for name, value in given.items() if is_parameter(name)}
        parts = branches(text)
        before, after = self.place, []
        for environment, word, branch in [part for part in parts if part[0] in told] or parts:
            more = [(environment, "the script's condition")] if environment else []
            known = {**({"1": word} if word else {}), **given}
            self.place = before
            self._run(_Shell(path, branch, whole, origin, [*more, *hints], folder, start, depth, known, env))
            after.append(self.place)
        self.place = agreed(after)

    @property
    def manifests(self) -> Manifests:
        """What the pipeline that is being read has said about files."""
        return self._manifests.setdefault(self.found.pipeline, Manifests(self.files, self.places))

    def _sourced(self, text: str, folder: str, path: str) -> dict[str, str]:
        """The variables of the files that a script sources."""
        known: dict[str, str] = {}
        for name in _SOURCES.findall(text):
            target = self.places.file(_SUBSTITUTED.sub("$_", name.strip("\"'")).replace('"', ""), folder, path)
            if target and target != path and (is_script(target) or "." not in basename(target)):
                known = assigned(self.files.text(target) or "", known)
        return known

    def _run(self, shell: _Shell) -> None:
        lines = Lines(shell.text, shell.start)
        pending = _writes(shell)
        here = shell.folder
        for command in simple_commands(shell.text, dict(shell.variables)):
            self.manifests.note(command, here, shell.path)
            words = evaluated(command.words)
            now = replace(shell, folder=here)
            if words[0] in {"cd", "pushd"} and len(words) > 1:
                here = self._moved(words[1], here, shell.path)
            elif words[0] == "export" and len(words) > 1:
                shell = replace(shell, env=(*shell.env, *_exported(words[1:])))
            elif (change := understand(words)) is not None:
                line = lines.of(words)
                pending = self._made(pending, shell.folder, line)
                look = self.inputs.seen_from(here, shell.folder, dirname(shell.path), path=shell.path)
                own = _exported(takewhile(_ASSIGNED.match, words))
                self._keep(understand(words, line, look) or change, replace(now, env=(*now.env, *own)), line)
            elif is_bundler(words):
                own = _exported(takewhile(lambda word: "=" in word, words))
                seen = tuple(replace(item, build=True) for item in (*shell.env, *own))
                self._keep(Change("build", "bundle", "", seen, source=bundled_in(words)), now, lines.of(words))
            elif (secret := secret_of(words))[0]:
                for quoted in secret[0]:
                    name = quoted.strip("\"'")
                    project = flag(words, "--project") or self._usual(shell.env).project
                    self.found.secret(shell.path, name, lines.of(words), shell.hints, secret[1], shell.whole, project)
            elif (place := configured(self.place, words)) is not self.place:
                self.place = place
            else:
                self._delegate(words, now)
        self._made(pending, shell.folder, None)

    def _made(self, pending: list[Write], folder: str, line: int | None) -> list[Write]:
        """Make the files that are written up to ``line``; those that are left are returned."""
        for write in pending:
            if line is None or write.line <= line:
                write.apply(self.inputs, folder)
        return [write for write in pending if line is not None and write.line > line]

    def _moved(self, name: str, folder: str, path: str) -> str:
        """The folder after ``cd name``; the one before it if that cannot be told."""
        found = self.places.folder(name, folder, path)
        if found is not None:
            return found
        return folder if "$" in name or name.startswith(("/", "~", "-")) else normpath(join(folder, name))

    def _keep(self, change: Change, shell: _Shell, line: int | None) -> None:
        self.keep(
            change, shell.path, shell.whole, line, shell.origin, shell.hints, shell.folder, shell.depth, shell.env
        )

    def keep(
        self,
        change: Change,
        path: str,
        text: str,
        line: int | None,
        origin: str,
        hints: Sequence[Hint],
        folder: str,
        depth: int = 0,
        env: tuple[Setting, ...] = (),
    ) -> None:
        """Keep ``change``, seen from ``folder``; what it hands on to another file is read there."""
        otherwise = self._usual(env)
        if change.verb == "replace":
            self._replaced(change, path, text, line, origin, hints, folder, otherwise)
            return
        if change.resource not in BUILDS:
            place = Place(change.project, change.region).over(otherwise)
            change = replace(change, project=place.project, region=place.region)
        if change.verb == "build" and change.file and depth < _DEPTH:
            target = self.places.file(change.file, folder, path)
            if target and self.follow(change, target, hints, otherwise):
                self.called.add(target)
                return
        here = self._built(change.source, folder, path)
        passed = tuple(_from(item, env) for item in change.settings)
        file = self.places.file(change.file, folder, path) if change.file else ""
        if change.file and not file and "$" not in change.file:
            file = normpath(join(folder, change.file))  # made on the way
        self.found.change(path, text, replace(change, source=here, file=file, settings=passed), line, origin, hints)

    def _usual(self, env: Iterable[Setting]) -> Place:
        """Where gcloud works for a process that sees ``env`` and names no place itself."""
        return variables_of(env).over(self.place)

    def _built(self, source: str, folder: str, path: str) -> str:
        """The folder that is built, seen from ``folder``; ``""`` if that cannot be told."""
        found = self.places.folder(source, folder, path) if source else None
        if found is not None:
            return found or "."
        return normpath(join(folder, source)) if source and "$" not in source else ""

    def _replaced(
        self,
        change: Change,
        path: str,
        text: str,
        line: int | None,
        origin: str,
        hints: Sequence[Hint],
        folder: str,
        otherwise: Place,
    ) -> None:
        """Read the manifest that ``gcloud run services replace`` is given, or keep that it was not found."""
        target = self.manifests.origin(change.file, folder, path)
        if target == LIVE:
            return
        if target in self.manifests.documents:
            body, first = self.manifests.documents[target]
            more = [*hints, (change.project, "the project")]
            flags = Place(change.project, change.region)
            knative.declared("\n" * (first - 1) + body, self.found, path, more, flags, otherwise)
        elif target and self.follow(change, target, hints, otherwise):
            self.called.add(target)
        else:
            unread = (f"the manifest {change.file or 'it is given'} was not found in the repository",)
            made = self.inputs.get(change.file, (folder,), path) if change.file else Input()
            if made.parts and not made.reason and self._rendered(made, change, hints, otherwise):
                return
            place = Place(change.project, change.region).over(otherwise)
            change = replace(change, project=place.project, region=place.region)
            self.found.change(path, text, change, line, origin, hints, unread, declarative=True)

    def _rendered(self, made: Input, change: Change, hints: Sequence[Hint], otherwise: Place) -> bool:
        """Read a manifest that commands have put together; whether it is one."""
        more = [*hints, (change.project, "the project")]
        flags = Place(change.project, change.region)
        found = [knative.declared(part.text, self.found, part.path, more, flags, otherwise) for part in made.parts]
        self.called.update(part.path for part in made.parts)
        return any(found)

    def _delegate(self, words: tuple[str, ...], shell: _Shell) -> None:
        """``ENV=x ./deploy.sh staging``, ``bash scripts/deploy.sh``: follow it with its arguments and variables."""
        given = dict(word.split("=", 1) for word in takewhile(_ASSIGNED.match, words))
        rest = list(words[len(given) :])
        if rest and basename(rest[0]) in {"bash", "sh", "zsh", "source", ".", "sudo", "env"} and len(rest) > 1:
            rest = [word for word in rest[1:] if not word.startswith("-")] or rest
        if not rest or shell.depth >= _DEPTH:
            return
        target = self.places.file(rest[0], shell.folder, shell.path)
        if not target and (beside := join(dirname(shell.path), basename(rest[0]))) in self.files.paths:
            target = beside
        if not target or not (is_script(target) or "." not in basename(target)) or target == shell.path:
            return
        text = self.files.text(target) or ""
        if any(mark in text for mark in ("gcloud", "docker build", ".sh")):
            self.called.add(target)
            seen = {name: value for name, value in shell.variables.items() if not name.isdigit()}
            seen.update({item.name: item.value for item in shell.env if item.value and item.sort == "plain"})
            hints = [*_told_by(given), *shell.hints]
            self.script(target, rest[1:], hints, shell.origin, shell.depth + 1, shell.folder, {**seen, **given})


def _writes(shell: _Shell) -> list[Write]:
    """The files that a shell makes, if anything in the whole file takes one."""
    if not any(word in shell.whole for word in TAKES):
        return []
    return writes(shell.path, shell.text, shell.start, shell.variables)


def _told_by(variables: Mapping[str, str]) -> list[Hint]:
    """The variables that may tell the environment."""
    return [
        (value, f"the variable {name}")
        for name, value in variables.items()
        if is_parameter(name) and names_environment(name) and "$" not in value
    ]


def _exported(words: Iterable[str]) -> tuple[Setting, ...]:
    """``NAME=value`` words as what later processes see."""
    pairs = (word.partition("=") for word in words)
    return tuple(setting(name, value, "set", "plain", None, build=True) for name, mark, value in pairs if mark)


def _from(item: Setting, env: tuple[Setting, ...]) -> Setting:
    """A build argument that hands on a variable which holds a secret comes from that secret."""
    name = item.value.strip("${}")
    source = next((known for known in reversed(env) if known.name == name and known.name), None)
    if not item.build or source is None or not item.value.startswith("$"):
        return item
    return replace(
        item, sort=source.sort, secret=source.secret, version=source.version, value=source.value, is_set=source.is_set
    )
