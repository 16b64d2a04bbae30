"""In which project and region Terraform makes a resource: its own arguments, else those of its provider.

Semantics: registry.terraform.io/providers/hashicorp/google/latest/docs/guides/provider_reference (``project`` and
``region`` of a provider are what a resource without its own gets) and developer.hashicorp.com/terraform/language
(``provider`` and ``providers`` choose one; without them it is the one that has the resource's first word as its name).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sentry_audit.deployment.location import Place, project_of, region_of
from sentry_audit.deployment.terraform_data import Unknown, text_of

if TYPE_CHECKING:
    from sentry_audit.deployment.terraform_modules import Instance
    from sentry_audit.deployment.terraform_syntax import Block, Expr
    from sentry_audit.deployment.terraform_values import Frame

_PASSED = re.compile(r"([\w.-]+)\s*=\s*([\w.-]+)")
_PROJECT = ("project", "project_id")
_REGION = ("location", "region")


def place_of(instance: Instance, block: Block, frame: Frame) -> Place:
    """Where a resource, or what a module from elsewhere makes, is: ``""`` for what could not be followed."""
    attributes = instance.modules.attributes(block)
    project, region = _given(attributes, _PROJECT, frame), _given(attributes, _REGION, frame)
    usual = _provided(instance, attributes) if project is None or region is None else Place()
    return Place(
        project_of(usual.project if project is None else project), region_of(usual.region if region is None else region)
    )


def _given(attributes: dict[str, Expr], names: tuple[str, ...], frame: Frame) -> str | None:
    """The first of these arguments, None if none is given (or is null, which is the same)."""
    value = next((frame.of(attributes[name], Unknown()) for name in names if name in attributes), None)
    return None if value is None else text_of(value)


def _provided(instance: Instance, attributes: dict[str, Expr]) -> Place:
    """What the provider of a resource with these ``attributes`` says."""
    name = attributes["provider"].text.strip('"') if "provider" in attributes else "google"
    while True:
        for block in instance.module.providers:
            own = instance.modules.attributes(block)
            alias = own["alias"].text.strip('"') if "alias" in own else ""
            if ".".join(part for part in (block.labels[0] if block.labels else "", alias) if part) == name:
                frame = instance.frame()
                return Place(_given(own, _PROJECT, frame) or "", _given(own, _REGION[1:], frame) or "")
        if instance.caller is None or instance.call_block is None:
            return Place()
        passed = instance.modules.attributes(instance.call_block).get("providers")
        name = dict(_PASSED.findall(passed.text)).get(name, name) if passed is not None else name
        instance = instance.caller
