"""The variables that a Cloud Run resource gives its ingress container."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit import dsn
from sentry_audit.deployment import gcloud
from sentry_audit.deployment import terraform_functions as functions
from sentry_audit.deployment.terraform_data import Lazy, Map, Unknown, text_of

if TYPE_CHECKING:
    from sentry_audit.deployment.terraform_data import Value
    from sentry_audit.deployment.terraform_modules import Modules
    from sentry_audit.deployment.terraform_syntax import Block
    from sentry_audit.deployment.terraform_values import Frame
    from sentry_audit.facts import Setting

#: Where the containers of a resource stand.
PATHS = {
    "google_cloud_run_service": ("template", "spec", "containers"),
    "google_cloud_run_v2_service": ("template", "containers"),
    "google_cloud_run_v2_worker_pool": ("template", "containers"),
    "google_cloud_run_v2_job": ("template", "template", "containers"),
}
_IGNORED = re.compile(r"(^|\.)(all|template|spec|containers?|env)$")


class Contents(Struct):
    """What the ingress container is given; ``notes`` say what was not followed."""

    settings: list[Setting] = field(default_factory=list)
    image: str = ""
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep what was not followed, once."""
        text = dsn.redact(text)
        if text not in self.notes:
            self.notes.append(text)


class Reader:
    """Reads resources' blocks, ``dynamic`` ones expanded."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules

    def expand(self, block: Block, kind: str, frame: Frame, notes: Contents) -> list[tuple[Block, Frame]]:
        """The blocks of one kind in ``block``, each with the names bound in it."""
        found = [(inner, frame) for inner in self.modules.inner(block, kind)]
        for dynamic in self.modules.inner(block, "dynamic"):
            if dynamic.labels[:1] != (kind,):
                continue
            attributes = self.modules.attributes(dynamic)
            content = next(iter(self.modules.inner(dynamic, "content")), None)
            over = frame.of(attributes.get("for_each"), Unknown())
            iterator = attributes["iterator"].text if "iterator" in attributes else kind
            pairs = functions.pairs(over)
            if pairs is None:
                notes.note(f'dynamic "{kind}" over {text_of(over)} was not followed')
            for missing in getattr(over, "missing", ())[:3]:
                notes.note(f'dynamic "{kind}": {missing} was not followed')
            for key, value in (pairs or ()) if content is not None else ():
                assert content is not None
                found.append((content, frame.bind(**{iterator: Map(key=key, value=value)})))
        return found

    def below(self, block: Block, frame: Frame, path: tuple[str, ...], notes: Contents) -> list[tuple[Block, Frame]]:
        """The blocks at ``path`` below ``block``."""
        found = [(block, frame)]
        for kind in path:
            found = [item for outer, around in found for item in self.expand(outer, kind, around, notes)]
        return found

    def contents(self, block: Block, frame: Frame) -> Contents:
        """What the ingress container of a resource is given: the one with ports, else the first."""
        found = Contents()
        containers = self.below(block, frame, PATHS[block.labels[0]], found)
        silent = Contents()
        chosen = next((item for item in containers if self.expand(item[0], "ports", item[1], silent)), None)
        chosen = chosen or next(iter(containers), None)
        if chosen is not None:
            container, around = chosen
            found.image = text_of(around.of(self.modules.attributes(container).get("image")))
            for env, inner in self.expand(container, "env", around, found):
                self._env(env, inner, found)
        for lifecycle in self.modules.inner(block, "lifecycle"):
            self._lifecycle(lifecycle, found)
        return found

    def _env(self, block: Block, frame: Frame, found: Contents) -> None:
        attributes = self.modules.attributes(block)
        name = frame.of(attributes.get("name"))
        if not isinstance(name, str) or not name:
            found.note(f"the name of a variable in line {block.line} of {block.path} was not followed")
            return
        line = attributes["name"].line
        for source in ("value_source", "value_from"):
            for inner, around in self.below(block, frame, (source, "secret_key_ref"), found):
                given = self.modules.attributes(inner)
                secret = around.of(given.get("secret") or (given.get("name")))
                version = around.of(given.get("version") or given.get("key"))
                found.settings.append(secret_setting(name, secret, version, line))
                return
        found.settings.append(plain_setting(name, frame.of(attributes.get("value")), line))

    def _lifecycle(self, block: Block, found: Contents) -> None:
        expression = self.modules.attributes(block).get("ignore_changes")
        for item in re.split(r"[\s,]+", expression.text.strip("[]")) if expression is not None else ():
            plain = re.sub(r"\[[^\]]*\]", "", re.sub(r"\.\d+", "", item.strip('"')))
            if _IGNORED.search(plain):
                found.note(f"changes of {plain} are ignored: a deploy elsewhere sets them")


def plain_setting(name: str, value: Value, line: int | None) -> Setting:
    """A variable with a value, shown as ``gcloud.setting`` shows it."""
    text = text_of(value)
    return gcloud.setting(name, text, "set", "plain", line)


def secret_setting(name: str, secret: Value, version: Value, line: int | None) -> Setting:
    """A variable from a secret, given by its name or its resource's path."""
    found = gcloud.setting(name, text_of(secret), "set", "secret", line)
    given = text_of(version)
    return replace(found, version=given) if given else found


def of_arguments(value: Value, sort: str, line: int, found: Contents) -> None:
    """The variables in an argument of a well-known module: a map, or a list of objects with a name."""
    if isinstance(value, (Unknown, Lazy)):
        found.note(f"{text_of(value)} was not followed")
    for missing in getattr(value, "missing", ())[:3]:
        found.note(f"{missing} was not followed")
    rows: list[tuple[Value, Value]] = []
    if isinstance(value, dict):
        rows = list(value.items())
    elif isinstance(value, list):
        rows = [(item.get("name"), item) for item in value if isinstance(item, dict)]
    for name, item in rows:
        if not isinstance(name, str) or not name:
            found.note("the name of a variable was not followed")
        elif sort == "plain":
            found.settings.append(plain_setting(name, item.get("value") if isinstance(item, dict) else item, line))
        else:
            found.settings.append(_reference(name, item, line))


def _reference(name: str, value: Value, line: int) -> Setting:
    """``{secret, version}``, ``{name, key}``, or ``{value_from = [{secret_key_ref = {…}}]}``."""
    for key in ("value_from", "value_source", "secret_key_ref"):
        if isinstance(value, dict) and key in value:
            value = value[key]
            value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, dict):
        return secret_setting(name, value, "", line)
    secret = value.get("secret") or value.get("secret_name") or value.get("name")
    return secret_setting(name, secret, value.get("version") or value.get("key") or "", line)
