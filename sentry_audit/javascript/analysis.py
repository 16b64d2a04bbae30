"""What is true of one front end: its files, read once, and the facts that follow from them."""

from __future__ import annotations

from functools import cached_property
from posixpath import join
from typing import TYPE_CHECKING

from sentry_audit.facts import FrontendDsn, Release
from sentry_audit.javascript import argument, bundlers, inits
from sentry_audit.javascript.loading import Loading
from sentry_audit.javascript.options import option_facts
from sentry_audit.javascript.packages import KINDS
from sentry_audit.javascript.release import releases
from sentry_audit.javascript.sdk import frontend_sdk
from sentry_audit.javascript.syntax import CODE, SUFFIXES, Source, is_generated, options_of
from sentry_audit.javascript.values import Values
from sentry_audit.model import Evidence, Problem

if TYPE_CHECKING:
    from sentry_audit.facts import Fact
    from sentry_audit.javascript.bundlers import Plugin
    from sentry_audit.javascript.inits import Init
    from sentry_audit.javascript.packages import Frontend
    from sentry_audit.python.program import Files


class Analysis:
    """Reads the files of one front end that speak of Sentry.

    ``problems`` are the files that could not be parsed; ``variables`` those that a DSN comes from, with the places.
    """

    def __init__(self, files: Files, frontend: Frontend) -> None:
        self.files = files
        self.frontend = frontend
        self.loading = Loading(files, frontend)
        self.problems: list[Problem] = []
        self.values = Values(self.loading, self.source)
        self.package = ""
        self.variables: dict[str, tuple[Evidence, ...]] = {}
        self._sources: dict[str, Source | None] = {}

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
                        Problem("repo", KINDS, "it could not be parsed", hint, here, self.frontend.fact.name)
                    )
        return self._sources[path]

    def config(self, stem: str) -> str:
        """The text of a configuration file of the front end (``next.config``), whatever its ending; ``""`` if none."""
        paths = (join(self.frontend.folder, stem + suffix) for suffix in SUFFIXES)
        return "\n".join(self.files.text(path) or "" for path in paths if path in self.files.paths)

    def owns(self, path: str) -> bool:
        """Whether a file is the front end's, or of a package of the repository that it depends on."""
        return any(not folder or path.startswith(f"{folder}/") for folder in self._folders)

    @cached_property
    def _folders(self) -> list[str]:
        known = self.frontend.manifests
        used = (known[name].folder for name in self.frontend.manifest.dependencies if name in known)
        return [self.frontend.folder, *used]

    @cached_property
    def inits(self) -> list[Init]:
        """The inits for browsers."""
        return inits.find(self)

    @cached_property
    def loaded(self) -> list[Init]:
        """Those of the inits that run."""
        return [item for item in self.inits if inits.never_loaded(self, item) is None]

    @cached_property
    def plugins(self) -> list[Plugin]:
        """Sentry's plugins in the configuration of the bundler."""
        return bundlers.plugins(self)

    def facts(self) -> list[Fact]:
        """The facts, in the order of the chain."""
        sdk = frontend_sdk(self)
        self.package = sdk.package
        found: list[Fact] = [sdk, inits.setup(self, self.inits, self.loaded)]
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
        return found
