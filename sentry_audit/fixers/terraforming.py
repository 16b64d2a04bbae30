"""Terraform: the DSN's secret, who may read it, and the variable of the service, written like what stands there."""

from __future__ import annotations

import re
from posixpath import dirname
from typing import TYPE_CHECKING

from sentry_audit.deployment.terraform_containers import PATHS
from sentry_audit.deployment.terraform_syntax import Broken
from sentry_audit.facts import Deployment, SecretDeclared
from sentry_audit.fixers.spelling import Spelling
from sentry_audit.fixers.terraform_lists import listed
from sentry_audit.fixers.terraform_secrets import SECRET, Module, behind, like, secret
from sentry_audit.fixers.texts import indent_at, row_end
from sentry_audit.fixing import Change, Refusal

if TYPE_CHECKING:
    from sentry_audit.deployment.terraform_syntax import Block
    from sentry_audit.fixers.definitions import Ask, Placed
    from sentry_audit.fixing import Case, Fixer


def give(case: Case, deployment: Deployment, ask: Ask) -> Placed | Refusal:
    """The variable of a service, and its secret where Terraform does not have it yet."""
    module = Module(case, dirname(deployment.path))
    try:
        return _give(module, deployment, ask)
    except Broken:
        return Refusal(reason=f"{deployment.path} is not valid HCL")


def _give(module: Module, deployment: Deployment, ask: Ask) -> Placed | Refusal:
    service = next(
        (item for item in module.blocks() if (item.path, item.line) == (deployment.path, deployment.line)), None
    )
    if service is None or service.labels[:1] == () or service.labels[0] not in PATHS:
        return Refusal(
            reason=f"{deployment.path}:{deployment.line} calls a module that is not in the repository: pass the variable in its arguments"
        )
    expression = module.environment()
    raw = service.source.text + "".join(item.source.text for item in module.of(SECRET))
    asked = ask(Spelling(module.case, deployment, raw + (f" ${{{expression}}}" if expression else "")))
    if isinstance(asked, Refusal):
        return asked
    container = _container(service)
    if container is None:
        return Refusal(reason=f"the container of {'.'.join(service.labels)} in {service.path} was not found")
    if asked.sort == "plain":
        return [_env(module, service, container, [f'name  = "{asked.name}"', f"value = {_quoted(asked.value)}"])]
    found = secret(module, service, asked)
    if isinstance(found, Refusal):
        return found
    reference, placed = found
    if "for_each" in service.attributes and any(re.search(r"\beach\.", text) for _, (_, text) in placed):
        return Refusal(
            reason=f"{service.path}:{service.line} deploys one service for each entry of a list, in places of their own: "
            "create a secret for each of them first"
        )
    return [_env(module, service, container, _from_secret(service, asked.name, reference)), *placed]


def _quoted(value: str) -> str:
    match = re.fullmatch(r"\$\{([\w.]+)\}", value)
    return match[1] if match else f'"{value}"'


def _container(service: Block) -> Block | None:
    found = [service]
    for kind in PATHS[service.labels[0]]:
        found = [inner for item in found for inner in item.blocks(kind)]
    return next((item for item in found if list(item.blocks("ports"))), found[0] if found else None)


def _from_secret(service: Block, name: str, reference: str) -> list[str]:
    first = service.labels[0] == "google_cloud_run_service"
    outer = "value_from" if first else "value_source"
    pair = [f"name = {reference}", 'key  = "latest"'] if first else [f"secret  = {reference}", 'version = "latest"']
    return [f'name = "{name}"', f"{outer} {{", "  secret_key_ref {", *(f"    {row}" for row in pair), "  }", "}"]


def _env(module: Module, service: Block, container: Block, rows: list[str]) -> tuple[str, tuple[int, str]]:
    """An ``env`` block behind the others of the container, else behind its image."""
    text = module.text(service.path)
    begin = module.begin(service)
    dynamic = (item for item in container.blocks("dynamic") if item.labels[:1] == ("env",))
    others = [*container.blocks("env"), *dynamic]
    others.sort(key=lambda item: int(item.tree.meta.start_pos))
    if others:
        plain = [item for item in others if item.kind == "env"] or others
        last = plain[-1].tree.meta
        at, indent = begin + last.end_pos, indent_at(text, begin + last.start_pos)
        apart = len(plain) > 1 and _apart(text, begin + plain[-2].tree.meta.end_pos, begin + last.start_pos)
    else:
        image = container.attributes.get("image")
        place = begin + (image.tree.meta.end_pos if image is not None else container.tree.meta.start_pos)
        at, indent = row_end(text, place), indent_at(text, place)
        apart = bool(re.match(r"\r?\n[ \t]*\r?\n", text[at:]))
    body = "".join(f"{indent}  {row}\n" for row in rows)
    return service.path, (at, f"\n{chr(10) if apart else ''}{indent}env {{\n{body}{indent}}}")


def _apart(text: str, end: int, start: int) -> bool:
    """Whether an empty line lies between two blocks."""
    return text.count("\n", end, start) > 1


# --- the check --------------------------------------------------------------------------------------


def manage(case: Case) -> Change | Refusal:
    """Let Terraform have the DSN: with the service where it defines it, else the secret alone, beside the others."""
    from sentry_audit.fixers.definitions import edits
    from sentry_audit.fixers.deploying import declare_dsn, seen

    services = [item for item in seen(case) if item.origin == "terraform"]
    if services:
        return declare_dsn(case)
    places = {(place.path, place.line) for fact in case.bad for place in fact.evidence}
    declared = [item for item in case.scanned if isinstance(item, SecretDeclared) and (item.path, item.line) in places]
    if not declared:
        return Refusal(reason="the secrets that Terraform manages were not found")
    module = Module(case, dirname(declared[-1].path))
    try:
        lines = {item.line for item in declared if item.path == declared[-1].path}
        known = [item for item in module.of(SECRET) if item.path == declared[-1].path and item.line in lines]
        single = [item for item in known if not {"for_each", "count"} & set(item.attributes)]
        model = Deployment(
            path=declared[-1].path,
            origin="terraform",
            service="",
            environment=declared[-1].environment,
            line=declared[-1].line,
        )
        raw = "".join(item.source.text for item in known) + (
            f" ${{{module.environment()}}}" if module.environment() else ""
        )
        spelling = Spelling(case, model, raw)
        name = spelling.named_like([item.name for item in declared], ("SENTRY_DSN",))
        if not name:
            return Refusal(reason="how the secrets are named after their environment was not followed")
        if not single:
            entry = listed(module, known[-1], name) if known and "for_each" in known[-1].attributes else None
            if entry is None:
                return Refusal(
                    reason=f"{declared[-1].path} creates the secrets from a list that was not followed: add {name} to it"
                )
            placed = entry[1]
        else:
            sibling = single[-1]
            placed = [(sibling.path, (behind(module, sibling), "\n\n" + like(sibling, "sentry_dsn", name)))]
    except Broken:
        return Refusal(reason=f"{declared[-1].path} is not valid HCL")
    paths = ", ".join(dict.fromkeys(path for path, _ in placed))
    return Change(summary=f"will add the secret {name} to {paths}", edits=edits(case, placed))


FIXERS: dict[str, Fixer] = {"terraform-dsn-secret": manage}
