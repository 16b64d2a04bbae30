"""What exists: one module per thing, found by folder, so that adding one touches no list."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_SHARED = frozenset({"base", "schema", "page", "ways", "folding", "plan", "waived"})


def _modules(package: ModuleType | str) -> dict[str, str]:
    """The public name of each plugin of ``package`` with its full module name, alphabetically."""
    home = import_module(package) if isinstance(package, str) else package
    found = sorted(module.name for module in pkgutil.iter_modules(home.__path__))
    return {
        name.rstrip("_"): f"{home.__name__}.{name}"
        for name in found
        if not name.startswith("_") and name not in _SHARED
    }


def names(package: ModuleType | str) -> tuple[str, ...]:
    """The names of the plugins of ``package``, by their file names: nothing is imported for it."""
    return tuple(_modules(package))


def load(package: ModuleType | str, name: str) -> ModuleType:
    """Import the one plugin module called ``name`` (``json`` finds ``json_``), or raise LookupError."""
    modules = _modules(package)
    if name not in modules:
        raise LookupError(f"no {name!r} here, only {', '.join(modules) or 'nothing'}")
    return import_module(modules[name])


def discover(package: ModuleType | str, attribute: str) -> dict[str, Any]:
    """``attribute`` of every plugin module that has it, by plugin name, alphabetically."""
    loaded = {name: import_module(module) for name, module in _modules(package).items()}
    return {name: getattr(module, attribute) for name, module in loaded.items() if hasattr(module, attribute)}
