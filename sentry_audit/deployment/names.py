"""Which names are those of deploy definitions: such a file must not stay unread in silence."""

from __future__ import annotations

import re

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
    lower = path.lower()  # each word by itself: a repository has tens of thousands of paths
    telling = "deploy" in lower or "release" in lower or "cloud" in lower or "knative" in lower or "service" in lower
    return (telling or ".github/" in lower) and _TELLING.search(path) is not None


def is_taken(path: str) -> bool:
    """Whether a file that something asked for may be (a part of) a definition."""
    return path.endswith((".yaml", ".yml")) or may_deploy(path)
