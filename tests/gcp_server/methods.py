"""The table of methods: what each takes and gives, who may call it, and what answers it.

Service descriptors are not in the installed packages' descriptor pool, only messages are: hence by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.cloud import run_v2, secretmanager_v1
from google.cloud.location import locations_pb2
from google.iam.v1 import iam_policy_pb2
from google.longrunning import operations_pb2
from msgspec import Struct

from . import iam, projects, run, secret_manager
from .messages import raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import State

SECRETS = "google.cloud.secretmanager.v1.SecretManagerService"
RUN = "google.cloud.run.v2"
PROJECTS = "google.cloud.resourcemanager.v3.Projects"
OPERATIONS = "google.longrunning.Operations"
LOCATIONS = "google.cloud.location.Locations"


class Method(Struct, frozen=True, kw_only=True):
    """One method.

    ``permission`` is asked for on ``resource`` (a dotted path in the request); ``routed``: the API finds the region
    in the header ``x-goog-request-params``; ``call`` is None for what is answered from the caller's own permissions;
    ``rest`` is what there is over REST alone.
    """

    name: str
    api: str
    request: Any
    permission: str
    resource: str
    call: Callable[[State, Any], Any] | None
    routed: bool = False
    rest: bool = False


def _secrets() -> list[tuple[str, Any, str, str, Any]]:
    api, here = secretmanager_v1, secret_manager
    return [
        ("ListSecrets", api.ListSecretsRequest, "secrets.list", "parent", here.list_secrets),
        ("GetSecret", api.GetSecretRequest, "secrets.get", "name", here.get_secret),
        ("CreateSecret", api.CreateSecretRequest, "secrets.create", "parent", here.create_secret),
        ("UpdateSecret", api.UpdateSecretRequest, "secrets.update", "secret.name", here.update_secret),
        ("DeleteSecret", api.DeleteSecretRequest, "secrets.delete", "name", here.delete_secret),
        ("AddSecretVersion", api.AddSecretVersionRequest, "versions.add", "parent", here.add_version),
        ("ListSecretVersions", api.ListSecretVersionsRequest, "versions.list", "parent", here.list_versions),
        ("GetSecretVersion", api.GetSecretVersionRequest, "versions.get", "name", here.get_version),
        ("AccessSecretVersion", api.AccessSecretVersionRequest, "versions.access", "name", here.access_version),
        ("EnableSecretVersion", api.EnableSecretVersionRequest, "versions.enable", "name", here.enable_version),
        ("DisableSecretVersion", api.DisableSecretVersionRequest, "versions.disable", "name", here.disable_version),
        ("DestroySecretVersion", api.DestroySecretVersionRequest, "versions.destroy", "name", here.destroy_version),
    ]


def _run() -> list[tuple[str, Any, str, str, Any]]:
    api, here = run_v2, run
    return [
        ("Services/ListServices", api.ListServicesRequest, "services.list", "parent", here.list_services),
        ("Services/GetService", api.GetServiceRequest, "services.get", "name", here.get),
        ("Services/CreateService", api.CreateServiceRequest, "services.create", "parent", here.create_service),
        ("Services/UpdateService", api.UpdateServiceRequest, "services.update", "service.name", here.update_service),
        ("Services/DeleteService", api.DeleteServiceRequest, "services.delete", "name", here.delete_service),
        ("Revisions/ListRevisions", api.ListRevisionsRequest, "revisions.list", "parent", here.list_revisions),
        ("Revisions/GetRevision", api.GetRevisionRequest, "revisions.get", "name", here.get),
        ("Jobs/ListJobs", api.ListJobsRequest, "jobs.list", "parent", here.list_jobs),
        ("Jobs/GetJob", api.GetJobRequest, "jobs.get", "name", here.get),
        ("Jobs/UpdateJob", api.UpdateJobRequest, "jobs.update", "job.name", here.update_job),
        ("WorkerPools/ListWorkerPools", api.ListWorkerPoolsRequest, "workerpools.list", "parent", here.list_pools),
        ("WorkerPools/GetWorkerPool", api.GetWorkerPoolRequest, "workerpools.get", "name", here.get),
        (
            "WorkerPools/UpdateWorkerPool",
            api.UpdateWorkerPoolRequest,
            "workerpools.update",
            "worker_pool.name",
            here.update_pool,
        ),
    ]


def table() -> dict[str, Method]:
    """Every method by its full name, ``package.Service/Method``."""
    found = [
        Method(
            name=f"{SECRETS}/{name}",
            api=secret_manager.API,
            request=raw(request),
            permission=f"secretmanager.{permission}",
            resource=resource,
            call=call,
        )
        for name, request, permission, resource, call in _secrets()
    ]
    found += [
        Method(
            name=f"{RUN}.{name}",
            api=run.API,
            request=raw(request),
            permission=f"run.{permission}",
            resource=resource,
            call=call,
            routed=True,
        )
        for name, request, permission, resource, call in _run()
    ]
    found += _policies()
    for name, api, request, permission, call in (
        (f"{OPERATIONS}/GetOperation", run.API, operations_pb2.GetOperationRequest, "run.operations.get", run.get_operation),
        (f"{OPERATIONS}/WaitOperation", run.API, operations_pb2.WaitOperationRequest, "run.operations.get", run.wait_operation),
        (f"{PROJECTS}/GetProject", projects.API, projects.GetProjectRequest, "resourcemanager.projects.get", projects.get),
        (f"{LOCATIONS}/ListLocations", run.API, locations_pb2.ListLocationsRequest, "run.locations.list", run.list_locations),
    ):  # fmt: skip
        rest = name.startswith(LOCATIONS)
        found.append(
            Method(name=name, api=api, request=request, permission=permission, resource="name", call=call, rest=rest)
        )
    return {item.name: item for item in found}


def _policies() -> list[Method]:
    manager, resources = secret_manager.API, projects.API
    rows = (
        (f"{SECRETS}/GetIamPolicy", manager, "secretmanager.secrets.getIamPolicy", iam.get_secret_policy),
        (f"{SECRETS}/SetIamPolicy", manager, "secretmanager.secrets.setIamPolicy", iam.set_secret_policy),
        (f"{SECRETS}/TestIamPermissions", manager, "", None),
        (f"{PROJECTS}/GetIamPolicy", resources, "resourcemanager.projects.getIamPolicy", projects.get_policy),
        (f"{PROJECTS}/SetIamPolicy", resources, "resourcemanager.projects.setIamPolicy", projects.set_policy),
        (f"{PROJECTS}/TestIamPermissions", resources, "", None),
        (f"{RUN}.Services/GetIamPolicy", run.API, "run.services.getIamPolicy", iam.get_service_policy),
        (f"{RUN}.Services/TestIamPermissions", run.API, "", None),
    )
    return [
        Method(
            name=name,
            api=api,
            request=getattr(iam_policy_pb2, f"{name.rpartition('/')[2]}Request"),
            permission=permission,
            resource="resource",
            call=call,
        )
        for name, api, permission, call in rows
    ]
