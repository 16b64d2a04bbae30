"""What each question to Google Cloud needs: the permission, the smallest role that has it, and the line that grants it.

Permissions: cloud.google.com/secret-manager/docs/access-control, cloud.google.com/run/docs/reference/iam/roles and
cloud.google.com/resource-manager/docs/access-control-proj.
"""

from __future__ import annotations

import shlex

from msgspec import Struct

RUN = "run.googleapis.com"
SECRETS = "secretmanager.googleapis.com"
PROJECTS = "cloudresourcemanager.googleapis.com"

LOGIN = "gcloud auth application-default login"
#: Stands where a command needs to name who asks, and that is not known.
UNKNOWN_ACCOUNT = "YOUR_ACCOUNT"


class Rpc(Struct, frozen=True):
    """One method: the API's host, the permission it takes and the role that has it, and its subject in words."""

    host: str
    permission: str
    role: str
    subject: str
    verb: str = "read"


#: By the name of the gRPC method; the two that share a name say whose policy it is.
RPCS = {
    "ListLocations": Rpc(RUN, "run.locations.list", "roles/run.viewer", "the regions of Cloud Run", "listed"),
    "ListServices": Rpc(RUN, "run.services.list", "roles/run.viewer", "the Cloud Run services", "listed"),
    "ListJobs": Rpc(RUN, "run.jobs.list", "roles/run.viewer", "the Cloud Run jobs", "listed"),
    "ListWorkerPools": Rpc(RUN, "run.workerpools.list", "roles/run.viewer", "the Cloud Run worker pools", "listed"),
    "GetRevision": Rpc(RUN, "run.revisions.get", "roles/run.viewer", "the revision"),
    "ListSecrets": Rpc(SECRETS, "secretmanager.secrets.list", "roles/secretmanager.viewer", "the secrets", "listed"),
    "GetSecret": Rpc(SECRETS, "secretmanager.secrets.get", "roles/secretmanager.viewer", "the secret"),
    "GetSecretVersion": Rpc(SECRETS, "secretmanager.versions.get", "roles/secretmanager.viewer", "the version"),
    "AccessSecretVersion": Rpc(
        SECRETS, "secretmanager.versions.access", "roles/secretmanager.secretAccessor", "the payload"
    ),
    "SecretPolicy": Rpc(SECRETS, "secretmanager.secrets.getIamPolicy", "roles/secretmanager.viewer", "the IAM policy"),
    "CreateSecret": Rpc(SECRETS, "secretmanager.secrets.create", "roles/secretmanager.admin", "the secret", "created"),
    "UpdateSecret": Rpc(SECRETS, "secretmanager.secrets.update", "roles/secretmanager.admin", "the secret", "changed"),
    "DeleteSecret": Rpc(SECRETS, "secretmanager.secrets.delete", "roles/secretmanager.admin", "the secret", "deleted"),
    "AddSecretVersion": Rpc(
        SECRETS, "secretmanager.versions.add", "roles/secretmanager.secretVersionAdder", "a version", "added"
    ),
    "ListSecretVersions": Rpc(
        SECRETS, "secretmanager.versions.list", "roles/secretmanager.viewer", "the versions", "listed"
    ),
    "DisableSecretVersion": Rpc(
        SECRETS,
        "secretmanager.versions.disable",
        "roles/secretmanager.secretVersionManager",
        "the version",
        "disabled",
    ),
    "SetSecretPolicy": Rpc(
        SECRETS, "secretmanager.secrets.setIamPolicy", "roles/secretmanager.admin", "the IAM policy", "changed"
    ),
    "GetService": Rpc(RUN, "run.services.get", "roles/run.viewer", "the service"),
    "GetJob": Rpc(RUN, "run.jobs.get", "roles/run.viewer", "the job"),
    "GetWorkerPool": Rpc(RUN, "run.workerpools.get", "roles/run.viewer", "the worker pool"),
    "UpdateService": Rpc(RUN, "run.services.update", "roles/run.developer", "the service", "changed"),
    "UpdateJob": Rpc(RUN, "run.jobs.update", "roles/run.developer", "the job", "changed"),
    "UpdateWorkerPool": Rpc(RUN, "run.workerpools.update", "roles/run.developer", "the worker pool", "changed"),
    "GetOperation": Rpc(RUN, "run.operations.get", "roles/run.developer", "the rollout"),
    "ProjectPolicy": Rpc(PROJECTS, "resourcemanager.projects.getIamPolicy", "roles/browser", "the IAM policy"),
}
#: To deploy is to act as the service's account: cloud.google.com/run/docs/reference/iam/roles#additional-configuration.
ACT_AS = "iam.serviceaccounts.actas"
_LINKS = {"listed": "in", "added": "to"}
_ROLES = {rpc.permission: rpc.role for rpc in RPCS.values()}


class Question(Struct, frozen=True):
    """One call: its method, and what it is about.

    ``resource`` is the full name, ``secret`` the id, if it is one's; ``account`` what a service that is changed runs as.
    """

    method: str
    project: str
    resource: str
    secret: str = ""
    account: str = ""

    @property
    def rpc(self) -> Rpc:
        """What its method needs."""
        return RPCS[self.method]

    @property
    def what(self) -> str:
        """What is asked, in words."""
        return f"{self.rpc.subject} {_LINKS.get(self.rpc.verb, 'of')} {self.resource}"

    @property
    def unseen(self) -> str:
        """The first half of a failure's reason."""
        return f"{self.what} could not be {self.rpc.verb}"


def member(identity: str) -> str:
    """``identity`` as IAM names a member: a service account, a user, or a placeholder if it is not an address."""
    if "@" not in identity or " " in identity:
        return UNKNOWN_ACCOUNT
    return f"serviceAccount:{identity}" if identity.endswith("gserviceaccount.com") else f"user:{identity}"


def grant(question: Question, permission: str, identity: str) -> str:
    """The gcloud line that grants the smallest role with ``permission``: on the secret if it is one's, else its project."""
    if permission.lower() == ACT_AS:
        account = shlex.quote(question.account or "SERVICE_ACCOUNT")
        bound = f"--member={member(identity)} --role=roles/iam.serviceAccountUser"
        return f"gcloud iam service-accounts add-iam-policy-binding {account} {bound}"
    role = _ROLES.get(permission, question.rpc.role)
    bound = f"--member={member(identity)} --role={role}"
    project = shlex.quote(question.project)
    if question.secret:
        secret = shlex.quote(question.secret)
        return f"gcloud secrets add-iam-policy-binding {secret} --project={project} {bound}"
    return f"gcloud projects add-iam-policy-binding {project} {bound}"


def enable(service: str, project: str) -> str:
    """The gcloud line that switches an API on."""
    return f"gcloud services enable {shlex.quote(service)} --project={shlex.quote(project)}"
