"""The DSN's secret in Terraform, and who may read it, written like the secrets that stand there."""

from __future__ import annotations

import re
from posixpath import dirname
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import is_parameter, rendered
from sentry_audit.deployment.terraform_syntax import blocks
from sentry_audit.dsn import names_dsn
from sentry_audit.facts import Deployment, SecretDeclared
from sentry_audit.fixers.terraform_lists import listed
from sentry_audit.fixers.texts import indent_at, row_start
from sentry_audit.fixing import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentry_audit.deployment.terraform_syntax import Block
    from sentry_audit.fixers.definitions import Given, Placed
    from sentry_audit.fixing import Case

SECRET, MEMBER = "google_secret_manager_secret", "google_secret_manager_secret_iam_member"
_ACCESSOR = "roles/secretmanager.secretAccessor"
_NAMES_IT = re.compile(r"\b((?:var|local)\.(\w+)|terraform\.workspace)\b")


class Module(Struct, frozen=True):
    """The blocks of one folder, each with where it begins in its file."""

    case: Case
    folder: str

    def blocks(self) -> Iterator[Block]:
        """All top-level blocks of the folder, file by file."""
        for path in sorted(self.case.files.paths.of(".tf")):
            if dirname(path) == self.folder:
                yield from blocks(path, self.case.files.text(path) or "")

    def of(self, kind: str) -> list[Block]:
        """The resources of one kind."""
        return [item for item in self.blocks() if item.kind == "resource" and item.labels[:1] == (kind,)]

    def text(self, path: str) -> str:
        """The text of a file."""
        return self.case.files.text(path) or ""

    def end(self, block: Block) -> int:
        """Where a top-level block ends in its file."""
        return self.begin(block) + len(block.source.text)

    def begin(self, block: Block) -> int:
        """Where it begins."""
        return self.text(block.path).index(block.source.text, row_start(self.text(block.path), block.line))

    def environment(self) -> str:
        """The expression that names the environment in this module (``var.environment``), or ``""``."""
        for item in self.blocks():
            for match in _NAMES_IT.finditer(item.source.text):
                if match[2] is None or is_parameter(match[2]):
                    return match[1]
        return ""


def secret(module: Module, service: Block, asked: Given) -> tuple[str, Placed] | Refusal:
    """(how the service refers to the DSN's secret, what has to be put where for that)."""
    known = module.of(SECRET)
    wanted = rendered(asked.value, module.case.environment)
    for item in known:
        shown = item.attributes["secret_id"].text.strip('"') if "secret_id" in item.attributes else ""
        if shown and (names_dsn(shown) or shown == wanted) and not {"for_each", "count"} & set(item.attributes):
            return f"{SECRET}.{item.labels[1]}.secret_id", _granted(module, service, item, item.labels[1])
    if _exists(module, wanted):
        return f'"{asked.value}"', _reader(module, service, asked.value)
    several = next((item for item in known if "for_each" in item.attributes), None)
    single = [item for item in known if not {"for_each", "count"} & set(item.attributes)]
    if several is not None:
        entry = listed(module, several, wanted)
        if entry is not None:
            return f'{SECRET}.{several.labels[1]}["{entry[0]}"].secret_id', entry[1]
        if not single:
            reason = f"{several.path}:{several.line} creates the secrets for a list that was not followed: add {wanted} to it"
            return Refusal(reason=reason)
    if not single:
        declared = [
            fact for fact in module.case.scanned if isinstance(fact, SecretDeclared) and fact.origin == "terraform"
        ]
        if declared or any(item.labels[:1] == (SECRET,) for item in module.blocks() if item.kind == "data"):
            return f'"{asked.value}"', []  # Terraform does not create the others either
        return _new(module, service, asked)
    return _copied(module, service, single, asked)


def _exists(module: Module, name: str) -> bool:
    """Whether something else creates the secret, or another deployment has it already: here it is only referred to."""
    environment = module.case.environment
    for fact in module.case.scanned:
        if isinstance(fact, SecretDeclared) and rendered(fact.name, environment) == name:
            return True
        if isinstance(fact, Deployment) and fact.origin != "terraform":
            if any(rendered(item.secret, environment) == name for item in fact.settings if item.secret):
                return True
    return False


def _reader(module: Module, service: Block, name: str) -> Placed:
    """The grant for a secret that Terraform does not have, where the module names the service's account."""
    account = _account(service)
    if not account:
        return []
    text = _member("sentry_dsn", account).replace(f"{SECRET}.sentry_dsn.id", f'"{name}"')
    return [(service.path, (module.end(service), f"\n\n{text}"))]


def _account(service: Block) -> str:
    """The account that a service runs as, as it stands in a member, or ``""`` if it runs as the default one."""
    for template in service.blocks("template"):
        for block in (template, *template.blocks("template"), *template.blocks("spec")):
            account = block.attributes.get("service_account") or block.attributes.get("service_account_name")
            if account is not None:
                return account.text.strip('"') if account.text.startswith('"') else f"${{{account.text}}}"
    return ""


def _copied(module: Module, service: Block, siblings: Sequence[Block], asked: Given) -> tuple[str, Placed]:
    """A secret like the last of ``siblings``, and a grant like its."""
    sibling = siblings[-1]
    label = "sentry_dsn"
    placed: Placed = [(sibling.path, (behind(module, sibling), "\n\n" + like(sibling, label, asked.value)))]
    return f"{SECRET}.{label}.secret_id", [*placed, *_granted(module, service, sibling, label)]


def like(sibling: Block, label: str, name: str) -> str:
    """The text of ``sibling`` for another secret."""
    text = sibling.source.text.replace("\r\n", "\n")
    text = text.replace(f'"{sibling.labels[1]}"', f'"{label}"', 1)
    value = sibling.attributes["secret_id"].text
    text = text.replace(value, f'"{name}"', 1)
    old = value.strip('"')
    for spell in (_kebab, _snake):  # its labels may tell its name again
        text = text.replace(f'"{spell(old)}"', f'"{spell(name)}"') if spell(old) != old else text
    return text


def _kebab(name: str) -> str:
    return name.lower().replace("_", "-")


def _snake(name: str) -> str:
    return name.lower().replace("-", "_")


def behind(module: Module, sibling: Block) -> int:
    """Where a secret's own blocks end: its version and its grants stand behind it."""
    end = module.end(sibling)
    mine = f"{SECRET}.{sibling.labels[1]}."
    for item in blocks(sibling.path, module.text(sibling.path)):
        if mine in item.source.text and item.kind == "resource" and item.labels[0] in {MEMBER, f"{SECRET}_version"}:
            end = max(end, module.end(item))
    return end


def _granted(module: Module, service: Block, sibling: Block, label: str) -> Placed:
    """Who may read the secret: as for its sibling, else the account that the service runs as."""
    members = [item for item in module.of(MEMBER) if f"{SECRET}.{sibling.labels[1]}." in item.source.text]
    if any(f"{SECRET}.{label}." in item.source.text for item in module.of(MEMBER)):
        return []
    if members:
        model = members[0]
        name = (
            model.labels[1].replace(sibling.labels[1], label)
            if sibling.labels[1] in model.labels[1]
            else f"{model.labels[1]}_{label}"
        )
        text = model.source.text.replace("\r\n", "\n").replace(f'"{model.labels[1]}"', f'"{name}"', 1)
        text = text.replace(f"{SECRET}.{sibling.labels[1]}.", f"{SECRET}.{label}.")
        at = behind(module, sibling) if model.path == sibling.path else module.end(model)
        return [(model.path, (at, f"\n\n{text}")), *_awaited(module, service, model.labels[1], name)]
    if any(
        "secretmanager.secretAccessor" in item.source.text
        for item in module.blocks()
        if item.kind == "resource" and item.labels[0].startswith("google_project_iam")
    ):
        return []
    account = _account(service)
    if not account:
        return []
    return [(sibling.path, (behind(module, sibling), "\n\n" + _member(label, account)))]


def _member(label: str, account: str) -> str:
    rows = [
        f'resource "{MEMBER}" "{label}" {{',
        f"  secret_id = {SECRET}.{label}.id",
        f'  role      = "{_ACCESSOR}"',
        f'  member    = "serviceAccount:{account}"',
        "}",
    ]
    return "\n".join(rows)


def _awaited(module: Module, service: Block, model: str, name: str) -> Placed:
    """The grant in the service's ``depends_on``, where its model is."""
    depends = service.attributes.get("depends_on")
    if depends is None or f"{MEMBER}.{model}" not in depends.text:
        return []
    text = module.text(service.path)
    start = text.index(f"{MEMBER}.{model}", module.begin(service))
    end = start + len(f"{MEMBER}.{model}")
    return [(service.path, (end, f",\n{indent_at(text, start)}{MEMBER}.{name}"))]


def _new(module: Module, service: Block, asked: Given) -> tuple[str, Placed]:
    """The first secret of a module: with its grant, behind the service."""
    rows = [
        f'resource "{SECRET}" "sentry_dsn" {{',
        *(_project(service)),
        f'  secret_id = "{asked.value}"',
        "",
        "  replication {",
        "    auto {}",
        "  }",
        "}",
    ]
    account = _account(service)
    text = "\n\n" + "\n".join(rows)
    if account:
        text += "\n\n" + _member("sentry_dsn", account)
    return f"{SECRET}.sentry_dsn.secret_id", [(service.path, (module.end(service), text))]


def _project(service: Block) -> list[str]:
    project = service.attributes.get("project")
    return [f"  project   = {project.text}"] if project is not None else []
