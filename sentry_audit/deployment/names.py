"""Which names are those of deploy definitions: such a file must not stay unread in silence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_audit.paths import Paths

#: Files of other hosts that build what is deployed, and their names.
HOST_FILES = {"vercel.json": "Vercel", "netlify.toml": "Netlify", "amplify.yml": "AWS Amplify"}
FIREBASE = "Firebase App Hosting"
HOSTS = frozenset({*HOST_FILES.values(), FIREBASE})
_SUFFIXES = (".sh", ".bash", ".tf", ".tfvars", ".mk")
_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")
_TELLING = re.compile(
    r"(^|/)\.github/workflows/[^/]+\.ya?ml$|cloud[-_]?build[^/]*\.(ya?ml|json)$"
    r"|(deploy|release|cloud[-_.]?run|knative|service)[^/]*\.(ya?ml|py|tmpl)$",
    re.IGNORECASE,
)
#: One of these is in every path that ``_TELLING`` takes, but for workflows.
_WORDS = ("deploy", "release", "cloud", "knative", "service")
_LANGUAGES = (*_SUFFIXES, *_MAKEFILES, ".yaml", ".yml", ".json", ".py", ".tmpl")
#: What these are in is UTF-8 and nothing else: YAML as Google and GitHub read it, JSON, HCL.
UTF_8 = (".yaml", ".yml", ".json", ".tf", ".tfvars")


def may_deploy(path: str) -> bool:
    """Whether the name alone says that the file may deploy something."""
    if not path.endswith(_LANGUAGES):
        return False
    name = path.rpartition("/")[2]
    if path.endswith(_SUFFIXES) or name in _MAKEFILES:
        return True
    lower = path.lower()  # words first: the pattern costs ten times as much
    return (".github/" in lower or any(word in lower for word in _WORDS)) and _TELLING.search(path) is not None


def deploying(paths: Paths) -> list[str]:
    """Those of ``paths`` that ``may_deploy``, in no order.

    A repository has tens of thousands of code files: in those each word is looked for at once in all names.
    """
    listed = paths.of(".py")
    text = "\n".join(listed)
    lower = text.lower()
    if len(lower) == len(text):  # a few letters have a longer small form
        listed = [path for word in _WORDS for path in _lines_with(word, text, lower)]
    others = paths.of(*(suffix for suffix in _LANGUAGES if suffix[0] == "." and suffix != ".py"), "")
    return [path for path in {*listed, *others} if may_deploy(path)]


def _lines_with(word: str, text: str, lower: str) -> Iterable[str]:
    at = lower.find(word)
    while at >= 0:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        yield text[text.rfind("\n", 0, at) + 1 : end]
        at = lower.find(word, end)


def is_taken(path: str) -> bool:
    """Whether a file that something asked for may be (a part of) a definition."""
    return path.endswith((".yaml", ".yml")) or may_deploy(path)
