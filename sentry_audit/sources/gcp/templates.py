"""What is changed in the message of a service, a job or a worker pool, in place: all else stays as it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentry_audit.errors import Stale
from sentry_audit.scanners import variables
from sentry_audit.sources.gcp.records import ROLL, Route, Was

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_audit.fixing import Operation
    from sentry_audit.sources.gcp.writing import Sort

_LATEST = 1  # of TrafficTargetAllocationType and InstanceSplitAllocationType
_FAILED = 3  # of Condition.State


# --- variables ------------------------------------------------------------------------------------


def indices(template: Any, sort: Sort, operation: Operation) -> list[int]:
    """The containers that an operation speaks of: the named one, else those that requests reach.

    Raises Stale if there is none.
    """
    containers = template.containers
    if operation.container:
        found = [index for index, item in enumerate(containers) if item.name == operation.container]
    elif len(containers) == 1 or sort.message != "Service":
        found = list(range(len(containers)))
    else:
        found = [index for index, item in enumerate(containers) if item.ports]
    if not found:
        which = f"no container {operation.container}" if operation.container else "no container that requests reach"
        raise Stale(f"{operation.resource} has {which}", "look again: sentry-audit check")
    return found


def variable(container: Any, name: str) -> Any:
    """The variable of that name, or None."""
    return next((item for item in container.env if item.name == name), None)


def gives(item: Any, secret: str, value: str) -> bool:
    """Whether a variable comes from version ``value`` of ``secret``; without one, whether it is that value."""
    if item is None:
        return False
    if not secret:
        return not item.HasField("value_source") and item.value == value
    reference = item.value_source.secret_key_ref
    return bool(reference.secret == secret and (reference.version or "latest") == value)


def put(container: Any, name: str, secret: str, value: str) -> None:
    """Give a container a variable; one that is there keeps its place. A secret one takes the place of a plain one."""
    item = variable(container, name)
    if item is None:
        item = container.env.add(name=name)
    if secret:
        item.value_source.secret_key_ref.secret = secret
        item.value_source.secret_key_ref.version = value
    else:
        item.value = value


def seen(template: Any, chosen: Iterable[int], names: Sequence[str]) -> tuple[Was, ...]:
    """What variables are before they are changed; a value only where it cannot be secret."""
    found = []
    for index in chosen:
        for name in names:
            item = variable(template.containers[index], name)
            if item is None:
                found.append(Was(container=index, name=name, kind="absent"))
            elif item.HasField("value_source"):
                reference = item.value_source.secret_key_ref
                found.append(
                    Was(container=index, name=name, kind="secret", secret=reference.secret, version=reference.version)
                )
            elif not item.value or variables.shown(name, item.value):
                found.append(Was(container=index, name=name, kind="plain", value=item.value))
            else:
                found.append(Was(container=index, name=name, kind="hidden"))
    return tuple(found)


def is_as_it_was(template: Any, was: Iterable[Was]) -> bool:
    """Whether variables are what they were, as far as that is known."""
    for item in was:
        if item.container >= len(template.containers):
            return False
        now = variable(template.containers[item.container], item.name)
        if item.kind == "absent":
            same = now is None
        elif item.kind == "hidden":
            same = now is not None and not now.HasField("value_source")
        else:
            same = gives(now, item.secret, (item.version or "latest") if item.kind == "secret" else item.value)
        if not same:
            return False
    return True


def put_back(template: Any, was: Iterable[Was], before: Any) -> None:
    """Make variables what they were; ``before`` is the template or the revision that still has what was hidden."""
    for item in was:
        container = template.containers[item.container]
        now = variable(container, item.name)
        if item.kind == "absent":
            if now is not None:
                container.env.remove(now)
        elif item.kind == "hidden":
            old = variable(before.containers[item.container], item.name)
            put(container, item.name, "", old.value)
        elif item.kind == "secret":
            put(container, item.name, item.secret, item.version)
        else:
            put(container, item.name, "", item.value)


def roll(template: Any, run: str) -> str:
    """Make a template differ, so that it gets a new revision; gives what stood there.

    Cloud Run makes none of a template that is as it was; annotations of one's own are part of it.
    """
    before = str(template.annotations.get(ROLL, ""))
    template.annotations[ROLL] = run
    return before


def unroll(template: Any, before: str) -> None:
    """Take that back."""
    if before:
        template.annotations[ROLL] = before
    else:
        template.annotations.pop(ROLL, None)


# --- where requests go ----------------------------------------------------------------------------


def routes(message: Any, sort: Sort) -> tuple[Route, ...]:
    """Where requests are to go."""
    return tuple(Route(target=item.SerializeToString()) for item in getattr(message, sort.routes))


def to_latest(message: Any, sort: Sort) -> None:
    """Send everything to the newest revision that is ready. Tags stay, and lead where they led."""
    targets = getattr(message, sort.routes)
    tagged = [item for item in targets if getattr(item, "tag", "")]
    kept = [type(item).FromString(item.SerializeToString()) for item in tagged]
    for item in kept:
        item.percent = 0
    newest = next((item for item in kept if item.type_ == _LATEST), None)
    del targets[:]
    if newest is None:
        targets.add(type_=_LATEST, percent=100)
    else:
        newest.percent = 100
    targets.extend(kept)


def route_back(message: Any, sort: Sort, before: Iterable[Route]) -> None:
    """Send requests where they went."""
    targets = getattr(message, sort.routes)
    del targets[:]
    for item in before:
        targets.add().MergeFromString(item.target)


def goes_to_latest(message: Any, sort: Sort) -> bool:
    """Whether all requests are to go to the newest revision that is ready."""
    targets = [item for item in getattr(message, sort.routes) if item.percent]
    return all(item.type_ == _LATEST or not item.revision for item in targets)


def serves(message: Any, sort: Sort) -> bool:
    """Whether what is to get requests gets them, in these parts."""
    if not sort.routes:
        return True
    return (_parts(message, sort.routes) or {"": 100}) == _parts(message, sort.statuses)


def _parts(message: Any, field: str) -> dict[str, int]:
    """The percents by revision; ``""`` is the newest that is ready."""
    found: dict[str, int] = {}
    for item in getattr(message, field):
        name = "" if item.type_ == _LATEST else item.revision.rpartition("/")[2]
        if item.percent:
            found[name] = found.get(name, 0) + item.percent
    return found


# --- how far it is --------------------------------------------------------------------------------


def settled(message: Any) -> bool:
    """Whether Cloud Run is done with what it was given last."""
    return not message.reconciling and message.observed_generation == message.generation


def came_up(message: Any, sort: Sort) -> bool:
    """Whether the newest revision is ready; a job has none."""
    if message.terminal_condition.state == _FAILED:
        return False
    return sort.message == "Job" or message.latest_ready_revision == message.latest_created_revision
