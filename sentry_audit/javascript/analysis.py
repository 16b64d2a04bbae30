"""What is true of one front end: its files, read once, and the facts that follow from them."""

from __future__ import annotations

import re
from functools import cached_property
from posixpath import basename, join
from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendDsn, Release
from sentry_audit.javascript import argument, bundlers, inits, locks
from sentry_audit.javascript.boundaries import boundaries
from sentry_audit.javascript.context import user
from sentry_audit.javascript.enabled import Gate, gates
from sentry_audit.javascript.labels import Label, label
from sentry_audit.javascript.loading import Loading
from sentry_audit.javascript.names import CODE, is_generated, is_test
from sentry_audit.javascript.options import option_facts
from sentry_audit.javascript.packages import OF_INIT
from sentry_audit.javascript.privacy import served_privacy
from sentry_audit.javascript.release import releases
from sentry_audit.javascript.sdk import frontend_sdk
from sentry_audit.javascript.syntax import Source, options_of
from sentry_audit.javascript.values import Values, Variable
from sentry_audit.mentions import BOUNDARIES, MENTIONS
from sentry_audit.model import Evidence, Problem
from sentry_audit.python.paths import deployed

if TYPE_CHECKING:
    from sentry_audit.facts import Fact
    from sentry_audit.javascript.bundlers import Plugin
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.python.program import Files


def _blinded(text: str) -> frozenset[str]:
    """The kinds of facts that cannot be known without a file of this text."""
    kinds: frozenset[str] = frozenset()
    if any(token in text for token in MENTIONS):
        kinds |= frozenset({"error_boundary", "frontend_user"} if "init(" not in text else {*OF_INIT, "error_boundary"})
    return kinds | frozenset({"error_boundary"} if any(token in text for token in BOUNDARIES) else ())


#: In the order in which tools look for them.
_CONFIGS = (".js", ".mjs", ".ts", ".cjs", ".mts", ".cts")


class Analysis:
    """Reads the files of one front end that speak of Sentry.

    ``problems`` are the files that could not be parsed; ``variables`` those that a DSN comes from;
    ``labels`` where each init takes its environment from; ``gates`` the conditions in front of each.
    """

    def __init__(self, files: Files, frontend: Frontend) -> None:
        self.files = files
        self.frontend = frontend
        self.loading = Loading(files, frontend)
        self.problems: list[Problem] = []
        self.values = Values(self.loading, self.source)
        self.package = ""
        self.variables: dict[str, Variable] = {}
        self.labels: list[Label] = []
        self.gates: list[list[Gate]] = []
        self._sources: dict[str, Source | None] = {}
        self._locked: dict[str, locks.Locked] = {}

    def source(self, path: str) -> Source | None:
        """The parsed file; None, with a problem, for one that is broken."""
        if path not in self._sources:
            text = self.files.text(path)
            self._sources[path] = None
            if text is not None and path.endswith(CODE) and not is_generated(text):
                source = Source(path, text)
                line = source.error_line()
                if line is None:
                    self._sources[path] = source
                else:
                    here = Evidence(path, line, None, None, "syntax error")
                    hint = f"fix the syntax of {path}"
                    self.problems.append(
                        Problem("repo", _blinded(text), "it could not be parsed", hint, here, self.frontend.fact.name)
                    )
        return self._sources[path]

    def config(self, stem: str) -> str:
        """The text of the configuration file of that name (``next.config``) that the tool takes; ``""`` if there is none."""
        path = self.config_path(stem)
        return (self.files.text(path) or "") if path is not None else ""

    def config_path(self, stem: str) -> str | None:
        """The configuration file of that name; of several, the first of js, mjs, ts: next/constants ``CONFIG_FILES``."""
        paths = (join(self.frontend.folder, stem + suffix) for suffix in _CONFIGS)
        return next((path for path in paths if path in self.files.paths), None)

    def takes(self, path: str) -> bool:
        """Whether a file is no configuration that its tool leaves aside for another of the same name."""
        stem = basename(path).partition(".config.")[0] + ".config"
        beside = path == join(self.frontend.folder, basename(path)) and basename(path).startswith(f"{stem}.")
        return not beside or path == self.config_path(stem)

    def locked(self, package: str) -> locks.Locked:
        """What the front end's lock file says of a package."""
        if package not in self._locked:
            self._locked[package] = locks.locked(self.files, self.frontend, package)
        return self._locked[package]

    def version(self, package: str) -> str:
        """The version of a package: the lock file's, else the lowest that its specifier allows; ``""`` if neither says."""
        manifests = (self.frontend.manifest, *self.frontend.used)
        specifier = next((item.dependencies[package][0] for item in manifests if package in item.dependencies), "")
        return self.locked(package).version or locks.lowest(specifier)

    def owns(self, path: str) -> bool:
        """Whether a file is the front end's, or of a package of the repository that it depends on."""
        return any(not folder or path.startswith(f"{folder}/") for folder in self.frontend.folders)

    @cached_property
    def mentioning(self) -> list[str]:
        """The files that speak of Sentry, tests left out; no search sees into those of a wide encoding."""
        found = [
            path
            for path in self.files.search(MENTIONS)
            if path.endswith(CODE) and deployed(path) and not is_test(path) and self.owns(path)
        ]
        texts = ((path, self.files.text(path) or "") for path in self.loading.starts if path not in found)
        return [*found, *(path for path, text in texts if any(token in text for token in MENTIONS))]

    def _unread(self) -> None:
        """Say which of the files that are loaded first could not be read: an init in them would not be seen."""
        for path in self.loading.starts:
            text = self.files.text(path)
            reason = "it could not be read" if text is None else "it is minified or very long, and was not parsed"
            if text is None or is_generated(text):
                here = Evidence(path, None, None, None, reason)
                hint = f"keep the source of {path} readable, or exclude it in sentry-audit.yaml"
                self.problems.append(Problem("repo", OF_INIT, reason, hint, here, self.frontend.fact.name))

    @cached_property
    def has_sentry_boundary(self) -> bool:
        """Whether a file of the front end renders the SDK's own boundary."""
        own = re.compile(r"<Sentry\.ErrorBoundary|withErrorBoundary|ErrorBoundary[^;\n]*from ['\"]@sentry/")
        return any(own.search(self.files.text(path) or "") for path in self.mentioning)

    @cached_property
    def is_static(self) -> bool:
        """Whether Next.js exports plain files, without a server."""
        return "output: 'export'" in self.config("next.config").replace('"', "'")

    @cached_property
    def is_app_router(self) -> bool:
        """Whether a Next.js front end has an ``app`` folder with a layout."""
        stems = [join(self.frontend.folder, folder, "layout") for folder in ("app", "src/app")]
        below = re.compile(rf"^({'|'.join(re.escape(stem[:-6]) for stem in stems)})(.*/)?layout\.\w+$")
        return any(basename(path).startswith("layout.") and below.match(path) for path in self.loading.code)

    def major(self, package: str) -> int | None:
        """The major version of a package that the build installs; None where nothing tells."""
        found = re.match(r"\d+", self.version(package))
        return int(found[0]) if found else None

    @cached_property
    def inits(self) -> list[Init]:
        """The inits for browsers."""
        return inits.find(self)

    @cached_property
    def loaded(self) -> list[Init]:
        """Those of the inits that run."""
        return [item for item in self.inits if inits.never_loaded(self, item) is None]

    @cached_property
    def served(self) -> list[tuple[Init, bool]]:
        """The inits of its server, and whether each is run."""
        return inits.served(self)

    @cached_property
    def plugins(self) -> list[Plugin]:
        """Sentry's plugins in the configuration of the bundler."""
        return bundlers.plugins(self)

    def facts(self) -> list[Fact]:
        """The facts, in the order of the chain."""
        self._unread()
        sdk = frontend_sdk(self)
        self.package = sdk.package
        found: list[Fact] = [sdk, inits.setup(self, self.inits, self.loaded), *boundaries(self), user(self)]
        for item in self.loaded or self.inits:
            read = options_of(item.call)
            if read is None:
                unseen = "the options of init were not followed"
                found.append(FrontendDsn(unknown=unseen, evidence=(item.evidence,)))
                found.append(Release(unknown=unseen, evidence=(item.evidence,)))
                continue
            found += argument.dsn(self, item, *read)
            found += option_facts(self, item, *read)
            found += releases(self, item, *read)
            if item in self.loaded:
                self.labels.append(label(self, item, *read))
                self.gates.append(gates(item, read[0]))
        found += [served_privacy(self, item, runs=runs) for item, runs in self.served]
        return found
