"""google.cloud.resourcemanager.v3.Projects: what a project is, and its IAM policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from . import iam

if TYPE_CHECKING:
    from .state import Project, State

API = "cloudresourcemanager.googleapis.com"
PACKAGE = "google.cloud.resourcemanager.v3"


def _classes() -> tuple[Any, Any]:
    """The two messages that no installed package has, with the field numbers of the API's own definition."""
    text = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    file = descriptor_pb2.FileDescriptorProto(name="projects.proto", package=PACKAGE, syntax="proto3")
    fields = {"GetProjectRequest": {"name": 1}, "Project": {"name": 1, "project_id": 3, "display_name": 5, "etag": 9}}
    for name, numbers in fields.items():
        message = file.message_type.add(name=name)
        for field, number in numbers.items():
            message.field.add(name=field, number=number, type=text, label=1)
    state = file.message_type[1].enum_type.add(name="State")
    for number, name in enumerate(("STATE_UNSPECIFIED", "ACTIVE", "DELETE_REQUESTED")):
        state.value.add(name=name, number=number)
    file.message_type[1].field.add(name="state", number=4, type=14, label=1, type_name=f".{PACKAGE}.Project.State")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = (f"{PACKAGE}.{name}" for name in fields)
    return tuple(message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)


GetProjectRequest, ProjectMessage = _classes()


def _project(state: State, name: str) -> Project:
    return state.project(name.removeprefix("projects/"), API)


def get(state: State, request: Any) -> Any:
    project = _project(state, request.name)
    name = f"projects/{project.number}"
    return ProjectMessage(name=name, project_id=project.id, display_name=project.id, state="ACTIVE", etag='W/"1"')


def get_policy(state: State, request: Any) -> Any:
    return iam.shown(_project(state, request.resource).policy, request)


def set_policy(state: State, request: Any) -> Any:
    return iam.change(_project(state, request.resource).policy, request)
