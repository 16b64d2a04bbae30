"""Cloud Run: everything that runs in the regions that count, and the revisions that serve where a target names it."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from sentry_audit.cloud import Failure, Service, Template
from sentry_audit.sources.gcp import run
from sentry_audit.sources.gcp.permissions import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sentry_audit.cloud import CloudOptions, Serving, Target
    from sentry_audit.sources.gcp.clients import Clients
    from sentry_audit.sources.gcp.secrets import Secrets
    from sentry_audit.sources.gcp.work import Work

_METHODS = {"service": "ListServices", "job": "ListJobs", "worker-pool": "ListWorkerPools"}
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_REGION = re.compile(r"[a-z][a-z0-9-]{0,60}")


class Reach(Struct):
    """What is known so far of one project; lists are known by their sort and their region."""

    project: str
    targets: list[Target]
    regions: tuple[str, ...] = ()
    found: dict[tuple[str, str, str], Service] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)
    failed: set[tuple[str, str]] = field(default_factory=set)
    unlisted: list[Failure] = field(default_factory=list)
    pending: int = 0

    def fail(self, failure: Failure, *lists: tuple[str, str]) -> None:
        """Some lists are not complete."""
        self.failed.update(lists)
        self.unlisted.append(failure)


class Services:
    """Asks for what runs. All methods belong to the thread that hears the answers."""

    def __init__(
        self, work: Work, clients: Clients, secrets: Secrets, targets: Sequence[Target], options: CloudOptions
    ) -> None:
        self._work, self._clients, self._secrets, self._options = work, clients, secrets, options
        self._wanted = frozenset(name for target in targets for name in target.variables)
        self.reaches: dict[str, Reach] = {}
        for target in targets:
            if target.project:
                self.reaches.setdefault(target.project, Reach(target.project, [])).targets.append(target)

    def start(self) -> None:
        """Ask everything that depends on nothing."""
        for reach in self.reaches.values():
            if not _PROJECT.fullmatch(reach.project):
                reach.fail(_no_name("project", reach.project))
                continue
            targets = reach.targets
            regions: Iterable[str] = self._options.regions
            if not regions and all(target.regions for target in targets):
                regions = (region for target in targets for region in target.regions)
            known = tuple(dict.fromkeys(regions))
            if known:
                self._list_regions(reach, known)
            else:
                self._locations(reach, "")
            owned = {
                reference.name
                for target in targets
                for reference in target.secrets
                if reference.project in {"", reach.project}
            }
            self._secrets.list(reach.project, owned)
            for target in targets:
                for reference in target.secrets:
                    project = reference.project or reach.project
                    self._secrets.refer(project, reference.name, reference.version or "latest", is_dsn=True)

    def _ask(self, reach: Reach, question: Question, read: Callable[[float], Any], then: Callable[[Any], None]) -> None:
        reach.pending += 1

        def heard(answer: Any) -> None:
            reach.pending -= 1
            then(answer)
            if not reach.pending:
                self._settle(reach)

        self._work.ask(question, read, heard)

    def _locations(self, reach: Reach, token: str) -> None:
        question = Question("ListLocations", reach.project, f"projects/{reach.project}")

        def heard(answer: Any) -> None:
            if isinstance(answer, Failure):
                reach.fail(answer, ("service", ""))
            elif not answer.items and not token:
                reason = f"{question.unseen}: Cloud Run names none for it, as it does for projects that do not exist"
                command = f"gcloud projects describe {reach.project}"
                failure = Failure(code="NOT_FOUND", reason=reason, resource=question.resource, command=command)
                reach.fail(failure, ("service", ""))
            else:
                self._list_regions(reach, tuple(answer.items))
                if answer.token and answer.token != token:
                    self._locations(reach, answer.token)

        self._ask(reach, question, lambda timeout: self._clients.locations(reach.project, token, timeout), heard)

    def _list_regions(self, reach: Reach, regions: tuple[str, ...]) -> None:
        sorts = {"service": None} | {target.sort: None for target in reach.targets}
        for region in regions:
            if not _REGION.fullmatch(region):
                reach.fail(_no_name("region", region), *((sort, region) for sort in sorts))
                continue
            reach.regions += (region,)
            for sort in sorts:
                self._list(reach, sort, region)

    def _list(self, reach: Reach, sort: str, region: str, token: str = "") -> None:
        reach.asked.add((sort, region))
        parent = f"projects/{reach.project}/locations/{region}"
        names = {target.service for target in reach.targets}

        def read(timeout: float) -> tuple[list[Service], str, list[str]]:
            page = self._clients.page(sort, parent, token, timeout)
            build = partial(run.service, sort=sort, project=reach.project, region=region, wanted=self._wanted)
            found = [build(item, named=item.name.rpartition("/")[2] in names) for item in page.items]
            return found, page.token, [str(place) for place in page.unreachable]

        question = Question(_METHODS[sort], reach.project, parent)
        self._ask(reach, question, read, partial(self._listed, reach, question, sort, region, token))

    def _listed(self, reach: Reach, question: Question, sort: str, region: str, token: str, answer: Any) -> None:
        if isinstance(answer, Failure):
            reach.fail(answer, (sort, region))
            return
        found, following, unreachable = answer
        for place in unreachable:
            reason = f"{question.unseen} completely: Cloud Run could not reach {place}"
            reach.fail(Failure(code="UNAVAILABLE", reason=reason, resource=place), (sort, region))
        if following and following != token:
            self._list(reach, sort, region, following)
        for item in found:
            reach.found[sort, region, item.name] = item
            if item.serving is not None:
                self._follow(reach, item.template)
                self._look_up(reach, item)

    def _follow(self, reach: Reach, template: Template) -> None:
        """Refer to the secrets that a template takes."""
        for reference in run.references(template, self._wanted):
            self._secrets.refer(
                reference.project or reach.project,
                reference.secret,
                reference.version,
                is_dsn=reference.is_dsn,
                account=(reach.project, template.account),
            )

    def _look_up(self, reach: Reach, service: Service) -> None:
        """Get the revisions that serve: those whose template is not known, or whose age matters."""
        for name in dict.fromkeys(item.revision for item in service.serving or ()):
            known = next(item.template for item in service.serving or () if item.revision == name)
            if not name:
                reason = f"no revision of {service.resource} has become ready"
                self._served(reach, service, name, Failure(code="NOT_FOUND", reason=reason, resource=service.resource))
            elif known is None or run.starts_with_latest(known, self._wanted):
                full = f"{service.resource}/revisions/{name}"

                def read(timeout: float, full: str = full) -> tuple[Template, str]:
                    message = self._clients.revision(full, timeout)
                    return run.revision(message, service.sort, reach.project, self._wanted)

                then = partial(self._served, reach, service, name)
                self._ask(reach, Question("GetRevision", reach.project, full), read, then)

    def _served(self, reach: Reach, service: Service, name: str, answer: tuple[Template, str] | Failure) -> None:
        key = (service.sort, service.region, service.name)
        known = reach.found[key]

        def filled(item: Serving) -> Serving:
            if item.revision != name:
                return item
            if isinstance(answer, Failure):  # where the template is known, only its age is not
                return item if item.template else replace(item, failure=answer)
            return replace(item, template=answer[0], created=answer[1])

        reach.found[key] = replace(known, serving=tuple(filled(item) for item in known.serving or ()))
        if not isinstance(answer, Failure):
            self._follow(reach, answer[0])

    def _settle(self, reach: Reach) -> None:
        """All answers of a project are in: look for what is still missing where else it could be."""
        for target in reach.targets:
            regions = [region for region in reach.regions if self._counts(target, region)]
            complete = not any(sort == "service" and region in {*regions, ""} for sort, region in reach.failed)
            if target.service and complete and not self._found(reach, target):
                for sort in ("job", "worker-pool"):
                    for region in regions:
                        if (sort, region) not in reach.asked:
                            self._list(reach, sort, region)
        if reach.pending:
            return
        for target in reach.targets:
            if not target.secrets and not any(self._takes_dsn(self._found(reach, target))):
                self._secrets.refer(reach.project, f"sentry-dsn-{target.environment}", "latest", is_dsn=True)

    def _counts(self, target: Target, region: str) -> bool:
        return bool(self._options.regions) or not target.regions or region in target.regions

    def _found(self, reach: Reach, target: Target) -> list[Service]:
        """What runs under the name that a target gives, where it says."""
        named = (item for item in reach.found.values() if item.name == target.service)
        return [item for item in named if self._counts(target, item.region)]

    def _takes_dsn(self, found: list[Service]) -> Iterator[bool]:
        for service in found:
            served = (item.template for item in service.serving or () if item.template is not None)
            for template in (service.template, *served):
                yield from (reference.is_dsn for reference in run.references(template, self._wanted))


def _no_name(kind: str, text: str) -> Failure:
    return Failure(code="NOT_ASKED", reason=f"{text} was not asked about: it is no name of a {kind}", resource=text)
