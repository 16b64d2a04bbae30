"""Short ways to put services, jobs and worker pools into a project: the same deployments that the API makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import rollouts
from .errors import invalid
from .messages import Job, PoolTemplate, Service, WorkerPool, clone, fill_template
from .messages import container as new_container
from .state import Project, Rollout, State

if TYPE_CHECKING:
    from collections.abc import Iterable


def add_service(
    project: Project,
    name: str,
    template: Any,
    *,
    region: str = "europe-west1",
    earlier: Iterable[Any] = (),
    traffic: Iterable[Any] = (),
    rollout: Rollout | None = None,
    **fields: Any,
) -> Any:
    """A service that was deployed once per template, ``earlier`` ones first; gives the stored message.

    ``traffic`` is set in the end; a revision is named by its start (``api-00001``). ``rollout`` is how the last
    deployment goes. ``fields`` are more of Service's fields (labels, client, ingress, …).
    """
    full = f"projects/{project.id}/locations/{region}/services/{name}"
    state = State(projects={project.id: project})
    for made in earlier:
        _deploy(state, project, Service(name=full, template=made, **fields), project.services.get(full))
    state.rollout = rollout or Rollout()
    _deploy(state, project, Service(name=full, template=template, **fields), project.services.get(full))
    if traffic := list(traffic):
        return route(project, full, *traffic)
    return project.services[full]


def redeploy(project: Project, service: str, template: Any, rollout: Rollout | None = None) -> Any:
    """Deploy a new template to a service (full name); its traffic stays as it is."""
    wanted = clone(project.services[service])
    wanted.template.CopyFrom(template)
    state = State(projects={project.id: project}, rollout=rollout or Rollout())
    _deploy(state, project, wanted, project.services[service])
    return project.services[service]


def route(project: Project, service: str, *traffic: Any) -> Any:
    """Send a service's traffic (full name) there."""
    wanted = clone(project.services[service])
    del wanted.traffic[:]
    for target in traffic:
        made = wanted.traffic.add()
        made.CopyFrom(target)
        if target.revision:
            made.revision = _revision(project, service, target.revision)
    _deploy(State(projects={project.id: project}), project, wanted, project.services[service])
    return project.services[service]


def _revision(project: Project, service: str, start: str) -> str:
    names = [rollouts.short(item) for item in project.revisions if item.startswith(f"{service}/revisions/{start}")]
    if len(names) != 1:
        raise invalid(f"{start} is the start of {len(names)} revisions of {service}.")
    return names[0]


def _deploy(state: State, project: Project, wanted: Any, current: Any) -> None:
    if current is not None and not wanted.traffic and current.traffic:
        wanted.traffic.MergeFrom(current.traffic)
    rollouts.deploy(state, project, wanted, current)


def add_pool(
    project: Project, name: str, *, region: str = "europe-west1", image: str = "", env: Any = None, **rest: Any
) -> Any:
    """A worker pool of one container; ``rest`` as in ``messages.fill_template``."""
    full = f"projects/{project.id}/locations/{region}/workerPools/{name}"
    template = fill_template(PoolTemplate(), [new_container(image, env, mounts=rest.get("mounts"))], **rest)
    state = State(projects={project.id: project})
    rollouts.deploy(state, project, WorkerPool(name=full, template=template))
    return project.pools[full]


def add_job(
    project: Project, name: str, *, region: str = "europe-west1", image: str = "", env: Any = None, **rest: Any
) -> Any:
    """A job of one container; ``rest`` as in ``messages.fill_template``."""
    full = f"projects/{project.id}/locations/{region}/jobs/{name}"
    job = Job(name=full)
    fill_template(job.template.template, [new_container(image, env, mounts=rest.get("mounts"))], **rest)
    rollouts.fill(project, job.template.template)
    rollouts.keep(job, None)
    project.jobs[full] = job
    return job
