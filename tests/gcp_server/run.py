"""google.cloud.run.v2: Services, Revisions, Jobs, WorkerPools; and the operations that their changes start."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from google.cloud import run_v2 as api
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2
from google.protobuf import field_mask_pb2

from . import rollouts
from .errors import RefusedError, invalid, not_found, not_implemented
from .messages import clone, raw
from .paging import page

if TYPE_CHECKING:
    from .state import Pending, Project, State

API = "run.googleapis.com"
MOST_PER_PAGE = 1000
PARENT = re.compile(r"projects/([^/]+)/locations/([^/]+)")
NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/(services|jobs|workerPools)/([^/]+)(?:/revisions/([^/]+))?")
STORES = {"services": "services", "jobs": "jobs", "workerPools": "pools"}


def place(state: State, parent: str) -> tuple[Project, str]:
    """The project and the region of a list's parent; the global endpoint knows no ``-``."""
    match = PARENT.match(parent)
    if match is None:
        raise not_implemented()
    if match[2] == "-":
        raise invalid("The location in parent cannot be the '-' wildcard.")
    project = state.project(match[1], API)
    if match[2] not in project.regions:
        raise RefusedError("PERMISSION_DENIED", f"Location {match[2]} is not found or access is unauthorized.")
    return project, match[2]


def find(state: State, name: str) -> tuple[Project, dict[str, Any], str]:
    """The project, the dictionary that ``name`` is looked up in, and the name with the project's id in it."""
    match = NAME.fullmatch(name)
    if match is None:
        raise not_implemented()
    project, _ = place(state, name)
    store = project.revisions if match[5] else getattr(project, STORES[match[3]])
    return project, store, name.replace(f"projects/{match[1]}/", f"projects/{project.id}/", 1)


def get(state: State, request: Any) -> Any:
    _, store, name = find(state, request.name)
    if name not in store:
        _, project_id, _, region, *_ = name.split("/")
        what = f"Resource '{rollouts.short(name)}' of kind '{_kind(name)}'"
        raise not_found(f"{what} in region '{region}' in project '{project_id}' does not exist.")
    return store[name]


def _kind(name: str) -> str:
    kinds = {"services": "SERVICE", "jobs": "JOB", "workerPools": "WORKER_POOL", "revisions": "REVISION"}
    return kinds[name.split("/")[-2]]


def _listed(state: State, request: Any, store: str, folder: str, answer: Any, field: str) -> Any:
    project, region = place(state, request.parent)
    start = f"projects/{project.id}/locations/{region}/{folder}/"
    found = [item for name, item in getattr(project, store).items() if name.startswith(start)]
    shown, token = page(found, request, state.page_size, MOST_PER_PAGE)
    made = answer(next_page_token=token)
    getattr(made, field).extend(shown)
    return made


def list_locations(state: State, request: Any) -> Any:
    """Cloud Run Admin v1, over REST alone: the regions. Names lack ``projects/``, an unknown project has none."""
    project = state.find_project(request.name.removeprefix("projects/"))
    regions, token = page(project.regions if project else [], request, state.page_size, MOST_PER_PAGE)
    places = [
        locations_pb2.Location(name=f"{project.id}/locations/{item}", location_id=item, display_name=item)
        for item in regions
        if project
    ]
    return locations_pb2.ListLocationsResponse(locations=places, next_page_token=token)


def list_services(state: State, request: Any) -> Any:
    """A region that cannot be reached is named, and its services are missing."""
    project, region = place(state, request.parent)
    if region in project.unreachable:
        return raw(api.ListServicesResponse)(unreachable=[f"projects/{project.id}/locations/{region}"])
    return _listed(state, request, "services", "services", raw(api.ListServicesResponse), "services")


def list_jobs(state: State, request: Any) -> Any:
    return _listed(state, request, "jobs", "jobs", raw(api.ListJobsResponse), "jobs")


def list_pools(state: State, request: Any) -> Any:
    return _listed(state, request, "pools", "workerPools", raw(api.ListWorkerPoolsResponse), "worker_pools")


def list_revisions(state: State, request: Any) -> Any:
    """A service's revisions, newest first; ``services/-`` are those of all services."""
    match = re.fullmatch(r"projects/([^/]+)/locations/([^/]+)/(services|workerPools)/([^/]+)", request.parent)
    if match is None:
        raise not_implemented()
    project, region = place(state, request.parent)
    folder = f"projects/{project.id}/locations/{region}/{match[3]}/"
    start = folder if match[4] == "-" else f"{folder}{match[4]}/"
    found = [item for name, item in reversed(project.revisions.items()) if name.startswith(start)]
    shown, token = page(found, request, state.page_size, MOST_PER_PAGE)
    made = raw(api.ListRevisionsResponse)(next_page_token=token)
    made.revisions.extend(shown)
    return made


def create_service(state: State, request: Any) -> Any:
    project, region = place(state, request.parent)
    name = f"projects/{project.id}/locations/{region}/services/{request.service_id}"
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?", request.service_id):
        raise invalid(f"Service id '{request.service_id}' is not valid.")
    if name in project.services:
        raise RefusedError("ALREADY_EXISTS", f"Resource '{request.service_id}' already exists.")
    request.service.name = name
    return _change(state, project, request.service, None, request)


def update_service(state: State, request: Any) -> Any:
    return _update(state, request, request.service)


def update_pool(state: State, request: Any) -> Any:
    return _update(state, request, request.worker_pool)


def update_job(state: State, request: Any) -> Any:
    return _update(state, request, request.job)


def _update(state: State, request: Any, sent: Any) -> Any:
    project, _, name = find(state, sent.name)
    current = get(state, sent)
    if sent.etag and sent.etag != current.etag:
        versions = f"version '{sent.etag}' was specified but current version is '{current.etag}'"
        raise RefusedError("ABORTED", f"Conflict for resource '{rollouts.short(name)}': {versions}.")
    wanted = clone(sent)
    mask = getattr(request, "update_mask", field_mask_pb2.FieldMask())
    if mask.paths:
        wanted = clone(current)
        mask.MergeMessage(sent, wanted, True, True)
    wanted.name = name
    return _change(state, project, wanted, current, request)


def _change(state: State, project: Project, wanted: Any, current: Any, request: Any) -> Any:
    if request.validate_only:
        answer = operations_pb2.Operation(name=f"{wanted.name.rsplit('/', 2)[0]}/operations/validated", done=True)
        answer.response.Pack(wanted)
        return answer
    if "/jobs/" not in wanted.name:
        force = getattr(request, "force_new_revision", False)
        return operation_message(state, rollouts.deploy(state, project, wanted, current, force=force))
    rollouts.fill(project, wanted.template.template)
    rollouts.keep(wanted, current)
    wanted.observed_generation = wanted.generation
    project.jobs[wanted.name] = wanted
    return operation_message(state, rollouts.start(state, project, wanted.name, state.rollout))


def delete_service(state: State, request: Any) -> Any:
    project, store, name = find(state, request.name)
    service = get(state, request)
    if request.etag and request.etag != service.etag:
        raise RefusedError("ABORTED", f"Conflict for resource '{rollouts.short(name)}'.")
    del store[name]
    for revision in [item for item in project.revisions if item.startswith(f"{name}/")]:
        del project.revisions[revision]
    operation = rollouts.start(state, project, name, state.rollout)
    operation.deleted = service
    return operation_message(state, operation)


def get_operation(state: State, request: Any) -> Any:
    return operation_message(state, _operation(state, request.name))


def wait_operation(state: State, request: Any) -> Any:
    """The operation as it is; the server lets go of the world while it waits (see ``calls``)."""
    return operation_message(state, _operation(state, request.name))


def _operation(state: State, name: str) -> Pending:
    if name not in state.operations:
        raise not_found(f"Resource '{rollouts.short(name)}' of kind 'OPERATION' does not exist.")
    return state.operations[name]


def operation_message(state: State, operation: Pending) -> Any:
    """google.longrunning.Operation: the changed resource is its metadata and, in the end, its response."""
    project = state.projects[operation.project]
    stores = (project.services, project.pools, project.jobs)
    found = operation.deleted or next(store[operation.target] for store in stores if operation.target in store)
    made = operations_pb2.Operation(name=operation.name, done=operation.done)
    made.metadata.Pack(found)
    if operation.done and operation.error is not None:
        made.error.CopyFrom(operation.error)
    elif operation.done:
        made.response.Pack(found)
    return made


def wait_seconds(request: Any) -> float:
    """How long WaitOperation waits at most."""
    return min(request.timeout.ToTimedelta().total_seconds() or 30.0, 30.0)


def wait_until_done(state: State, name: str, seconds: float) -> None:
    """Wait for an operation, at most that long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rollouts.settle_all(state, poll=True)
        if name not in state.operations or state.operations[name].done:
            return
        time.sleep(0.02)
