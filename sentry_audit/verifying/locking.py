"""``sentry-audit.lock``: the JSON paths that leave each component in each environment, one a line, for reviews."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sentry_audit.applying import single
from sentry_audit.errors import UsageError
from sentry_audit.wire import paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sentry_audit.wire import Sent

NAME = "sentry-audit.lock"
_VERSION = 1


def read(root: Path) -> dict[str, tuple[str, ...]]:
    """The known paths, by ``component@environment``. Raises UsageError where there is no such file, or it is none of ours."""
    path = root / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != _VERSION:
            raise UsageError(f"{path} is of version {data['version']}, not {_VERSION}", "write it anew: --record")
        return {str(name): tuple(map(str, entry["paths"])) for name, entry in data["leaves"].items()}
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist", "write it: sentry-audit verify --record") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "make it readable") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a file that verify --record wrote", "write it anew: --record") from error


def text(sent: Mapping[str, Sequence[Sent]], environment: str, before: Mapping[str, tuple[str, ...]]) -> str:
    """The file's new text: what was ``sent`` by each component in ``environment``, and what ``before`` says of all else."""
    leaves: dict[str, Any] = {name: {"paths": list(known)} for name, known in before.items()}
    for name, items in sent.items():
        if items:
            leaves[f"{name}@{environment}"] = {"paths": list(paths(items))}
    data = {"version": _VERSION, "leaves": dict(sorted(leaves.items()))}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def write(root: Path, new: str) -> Path:
    """Write the file, whole or not at all. Raises Stale, OSError."""
    single.write(root, NAME, new.encode(), single.contents(root, NAME))
    return root / NAME
