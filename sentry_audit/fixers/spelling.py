"""How a deploy definition calls things: the environment, the secrets, the commit; the DSN's secret is called likewise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import canonical, is_parameter, named_in, rendered, speaks_of
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import Deployment, SecretDeclared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.facts import Setting
    from sentry_audit.fixing import Case

_PARAMETER = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}|\$\$?\{([\w.]+)[^{}]*\}|\$\$?(\w+)|\$\((\w+)\)|\{([\w.]+)\}")
_MODES = frozenset({"NODE_ENV", "RAILS_ENV", "RACK_ENV", "MIX_ENV", "FLASK_ENV", "BABEL_ENV", "PYTHON_ENV"})
#: Words that tell one end from the other.
_FRONT = frozenset({"frontend", "front", "web", "client", "browser", "ui", "mobile"})
_BACK = frozenset({"backend", "back", "server", "api", "worker"})
_WORD = re.compile(r"[A-Za-z]+")


class Spelling(Struct, frozen=True):
    """One definition in one environment, with its text as it is written."""

    case: Case
    deployment: Deployment
    raw: str
    around: str = ""

    @property
    def parameter(self) -> str:
        """What stands for the environment's name in it, as written (``$environment``, ``${{ inputs.env }}``), or ``""``.

        A variable that has a name may also stand elsewhere in the script (``around``), where nothing else tells.
        """
        found = parameter_in(self.raw)
        if not found and not self.deployment.environment:
            found = parameter_in(self.around)
        return found

    @property
    def shared(self) -> bool:
        """Whether it deploys to more than one environment."""
        same = {
            item.environment
            for item in self.case.scanned
            if isinstance(item, Deployment) and (item.path, item.line) == (self.deployment.path, self.deployment.line)
        }
        return len(same) > 1 or (not self.deployment.environment and bool(self.parameter))

    @property
    def word(self) -> str:
        """How this definition writes the environment's name: a variable, its own short form, or ``""`` if it names none."""
        if self.shared:
            return self.parameter
        wanted = canonical(self.case.environment)
        texts = (*(item.secret for item in self.deployment.settings), self.deployment.service)
        for text in texts:
            for word in _WORD.findall(text):
                if named_in(word) == {wanted}:
                    return str(word)
        return self.case.environment if self.deployment.environment else ""

    def label(self) -> str:
        """The value of a variable that holds the environment's name, or ``""`` if the definition does not tell it."""
        wanted = canonical(self.case.environment)
        terraform = self.deployment.origin == "terraform"
        for item in () if terraform and self.shared else self.deployment.settings:
            if not is_parameter(item.name) or item.name in _MODES or item.build:
                continue
            if canonical(rendered(item.value, self.case.environment)) == wanted and (value := _value(self.raw, item)):
                return value
        if not self.deployment.environment and not self.parameter and self._neighbours() == {wanted}:
            return self.case.environment
        if self.shared or not self.deployment.environment:
            return self.parameter
        return self.case.environment

    def _neighbours(self) -> set[str]:
        """The environments that the same file deploys to, where it says so: what it builds is for them."""
        found = (item for item in self.case.scanned if isinstance(item, Deployment) and item.environment)
        return {canonical(item.environment) for item in found if item.path == self.deployment.path}

    def secret(self, names: Sequence[str]) -> str:
        """The name of the DSN's secret, as this definition has to write it; ``names`` are the variables that read it.

        The one that others use for it, else one like those of the secrets that the definition names. ``""``: it is not
        clear, because the definition deploys to several environments and nothing in it tells which.
        """
        known = self._known(names)
        if known:
            return known
        mine = [item.secret for item in self.deployment.settings if item.secret]
        return self._like(mine or self._others())

    def named_like(self, others: Sequence[str], names: Sequence[str]) -> str:
        """Likewise among the secrets ``others``, which a definition creates."""
        return self._known(names) or self._like(others)

    def _others(self) -> list[str]:
        """The secrets that other deployments in this environment name."""
        found = (
            item
            for item in self.case.scanned
            if isinstance(item, Deployment) and item.environment == self.deployment.environment
        )
        return [one.secret for item in found for one in item.settings if one.secret]

    def _known(self, names: Sequence[str]) -> str:
        environment = self.case.environment
        others = [
            item
            for item in self.case.scanned
            if isinstance(item, Deployment) and speaks_of(item.environment, environment)
        ]
        for item in others:
            for setting in item.settings:
                if setting.secret and (setting.name in names or self._may_be(setting.secret)):
                    path = setting.path or item.path
                    if path == self.deployment.path and (
                        written := _written(self.case.files.text(path) or "", setting)
                    ):
                        return written
                    if name := self.here(rendered(setting.secret, environment)):
                        return name
        for fact in self.case.scanned:
            if (
                isinstance(fact, SecretDeclared)
                and self._may_be(fact.name)
                and speaks_of(fact.environment, environment)
            ):
                if name := self.here(rendered(fact.name, environment)):
                    return name
        return ""

    def _may_be(self, secret: str) -> bool:
        """Whether a secret holds a DSN, and its name does not say that it is one of the other end's."""
        component = self.case.component
        mine = set(_WORD.findall(f"{component.name} {component.path}".lower()))
        other = (_BACK if component.ecosystem == "npm" else _FRONT) - mine
        return names_dsn(secret) and not other & set(_WORD.findall(secret.lower()))

    def here(self, name: str) -> str:
        """A name that holds in this environment, with the definition's variable in place of the environment's name."""
        if "$" in name or not self.shared:
            return "" if "$" in name else name
        found = [word for word in _WORD.findall(name) if named_in(word) == {canonical(self.case.environment)}]
        if not found:
            return name
        return name.replace(found[-1], self.parameter) if self.parameter else ""

    def _like(self, others: Sequence[str]) -> str:
        word = self.word
        if self.shared and not word:
            return "" if not others else _styled(others, "")
        if others and not any("$" in other or named_in(other) for other in others):
            word = ""  # each environment has a project of its own
        return _styled(others, word)


def _styled(others: Sequence[str], word: str) -> str:
    """``sentry-dsn`` in the style of the names of the ``others``, with the environment's ``word`` behind it."""
    plain = [other for other in others if other]
    if plain and all(re.fullmatch(r"[A-Z0-9_]+", re.sub(r"\$\{?\w+\}?", "", other)) for other in plain):
        return "SENTRY_DSN" + (f"_{word if '$' in word else word.upper()}" if word else "")
    separator = "_" if plain and all("_" in other and "-" not in other for other in plain) else "-"
    name = f"sentry{separator}dsn" + (f"{separator}{word}" if word else "")
    prefix = _prefix(plain, separator)
    return prefix + name


def _prefix(names: Sequence[str], separator: str) -> str:
    """The first words of ``names`` where they are those of all, and they are several: ``salon-``."""
    parts = [name.split(separator)[:-1] for name in names]
    if len(set(names)) < 2:
        return ""
    shared: list[str] = []
    for words in zip(*parts, strict=False):
        if len(set(words)) > 1 or "$" in words[0] or named_in(words[0]):
            break
        shared.append(words[0])
    return "".join(word + separator for word in shared)


def parameter_in(raw: str) -> str:
    """The first variable in ``raw`` that holds the name of an environment, as it is written; a script's ``$1`` if no other."""
    found = []
    for match in _PARAMETER.finditer(raw):
        name = next(group for group in match.groups() if group)
        if (is_parameter(name) or is_parameter(name.rpartition(".")[2])) and name not in _MODES:
            found.append((name.isdigit(), match[0]))
    return min(found, key=lambda pair: pair[0])[1] if found else ""


def _value(raw: str, item: Setting) -> str:
    """The value of a plain variable as it is written."""
    match = re.search(rf"\b{re.escape(item.name)}\s*[=:]\s*[\"']?(\$\{{\{{[^}}]*\}}\}}|[^,\s\"'\\]+)", raw)
    if match and ("$" in match[1] or canonical(match[1]) == canonical(item.value)):
        return match[1]
    return "" if "$" in item.value else item.value


def _written(text: str, item: Setting) -> str:
    """The secret of a variable as the file writes it, without its version."""
    rows = text.splitlines()
    row = rows[item.line - 1] if item.line and item.line <= len(rows) else ""
    match = re.search(rf"\b{re.escape(item.name)}=[\"']?((?:\$\{{\{{[^}}]*\}}\}}|[^,\s\"'\\:])+)", row)
    return match[1] if match else item.secret if "$" not in item.secret else ""


def commit_in(texts: Iterable[str]) -> str:
    """The variable of a script that holds the commit, as it is assigned in ``texts``: its name, or ``""``."""
    for text in texts:
        match = re.search(r"(?m)^[ \t]*(?:export\s+|readonly\s+|local\s+)?(\w+)=\"?\$\(git rev-parse HEAD\)", text)
        if match:
            return match[1]
    return ""
