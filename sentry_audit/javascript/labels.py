"""Where a browser's init takes the name of the environment from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sentry_audit.javascript.syntax import line_of, text_of
from sentry_audit.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry_audit.javascript.analysis import Analysis
    from sentry_audit.javascript.inits import Init

#: What every build for deployment sets to "production": nextjs.org/docs, vite.dev/guide/env-and-mode.
_BUILDS = frozenset({"NODE_ENV", "MODE"})
_MODE = re.compile(r"--mode[= ](\S+)")


class Label(Struct, frozen=True):
    """How an init is told the environment's name.

    ``given``: it has the option; ``variables`` that it reads; ``builds``: those that bundlers set (NODE_ENV, MODE);
    ``literals`` in the code, as a fallback or alone; ``mode`` is what the script ``build`` builds in, ``modes`` what
    others do too; ``open``: part of it is decided elsewhere; ``unclear`` is what was not followed.
    """

    given: bool = False
    variables: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    mode: str = "production"
    modes: tuple[str, ...] = ()
    open: bool = False
    unclear: str = ""
    evidence: tuple[Evidence, ...] = ()


def label(analysis: Analysis, item: Init, options: Mapping[str, Any], spread: bool) -> Label:
    """The label of one init. ``spread``: further options come from elsewhere."""
    node = options.get("environment")
    if node is None:
        return Label(open=spread, unclear="options are spread into init" if spread else "", evidence=(item.evidence,))
    origin = analysis.values.origin(node, item.source)
    here = Evidence(item.source.path, line_of(node), saw=f"environment: {text_of(node)}".partition("\n")[0][:80])
    names = tuple(dict.fromkeys(name for name, _ in origin.variables))
    scripts = {name: script for name, script in analysis.frontend.manifest.scripts.items() if "build" in script}
    modes = {name: found[1] for name, script in scripts.items() if (found := _MODE.search(script))}
    return Label(
        given=True,
        variables=tuple(name for name in names if name not in _BUILDS),
        builds=tuple(name for name in names if name in _BUILDS),
        literals=tuple(origin.literals),
        mode=modes.get("build", "production"),
        modes=tuple(modes.values()),
        open=origin.page or bool(origin.unknown),
        unclear=next(iter(origin.unknown), ""),
        evidence=tuple(dict.fromkeys((here, *origin.trail))),
    )
