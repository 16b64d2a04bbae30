"""Whether a Cloud Run service that has a DSN can send: it needs a CPU to do so, and a way out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentry_audit.cloud_facts import CpuAllocation, Egress
from sentry_audit.derive.live import at, dsn_of, hit, reached, update
from sentry_audit.dsn import is_private
from sentry_audit.facts import Shutdown

if TYPE_CHECKING:
    from sentry_audit.cloud import DsnSeen, Service
    from sentry_audit.derive.live import Subject


def cpu(subject: Subject, service: Service) -> CpuAllocation:
    """Whether events leave before the CPU is taken away.

    The SDK sends from a thread of its own. At SIGTERM the CPU is back for ten seconds, so that a flush on shutdown
    still sends what was left: late, and not if the instance is killed. Source: Cloud Run's container contract.
    """
    idle = [item for item in reached(service.template) if item.cpu_idle]
    if service.sort != "service" or not idle:
        always = (
            f"{service.name} has its CPU all the time"
            if service.sort == "service"
            else f"{service.name} serves no requests"
        )
        return CpuAllocation(
            service=service.name, delivers=True, source=always, evidence=(at(service, "cpu_idle: false"),)
        )
    here = at(service, "cpu_idle: true")
    shutdown = next((fact for fact in subject.facts if isinstance(fact, Shutdown)), None)
    told = f"{service.name} has a CPU only while it answers a request"
    if shutdown is None or shutdown.unknown:
        why = shutdown.unknown if shutdown is not None else "whether anything sends what is queued is not known"
        return CpuAllocation(service=service.name, throttled=True, unknown=f"{told}, and {why}", evidence=(here,))
    places = (here, *shutdown.evidence)
    if shutdown.flushes:
        source = f"{told}; what is queued then is sent on shutdown at the latest"
        return CpuAllocation(service=service.name, throttled=True, delivers=True, source=source, evidence=places)
    if shutdown.elsewhere:
        reason = (
            f"{told}, and whether each request that fails ends with the flush in {shutdown.elsewhere} was not followed"
        )
        return CpuAllocation(service=service.name, throttled=True, unknown=reason, evidence=places)
    return CpuAllocation(
        service=service.name, throttled=True, problem=f"{told}, and nothing flushes: events that wait then are late, or lost",
        command=update(service, "--no-cpu-throttling"), evidence=places,
    )  # fmt: skip


def egress(subject: Subject, service: Service) -> Egress:
    """Whether there is a way from the service to the host of its DSN, as far as its own settings tell."""
    template = service.template
    dsn = _dsn(subject, service)
    host = dsn.host if dsn is not None else ""
    aim = host or "Sentry's ingest host"
    inside = bool(host) and is_private(host)
    here = (at(service, f"egress: {template.egress or 'no VPC'}"),)
    if template.egress == "ALL_TRAFFIC" or (inside and template.egress):
        network = template.network or "its VPC"
        reason = (
            f"all that {service.name} sends goes through {network}: whether a route, and Cloud NAT, lead from there to "
            f"{aim} cannot be seen from here"
        )
        if inside:
            reason = f"{service.name} reaches {aim} through {network} only: whether a route leads there cannot be seen from here"
        hint = f"gcloud compute routers list --project={service.project} --regions={service.region}"
        return Egress(service=service.name, network=network, host=host, unknown=reason, hint=hint, evidence=here)
    if inside:
        problem = f"{aim} is in a private network, and {service.name} is attached to none"
        command = update(service, "--network=NETWORK --subnet=SUBNET --vpc-egress=private-ranges-only")
        return Egress(service=service.name, host=host, problem=problem, command=command, evidence=here)
    source = f"{service.name} sends to public addresses by itself"
    return Egress(service=service.name, network=template.network, host=host, reaches=True, source=source, evidence=here)


def _dsn(subject: Subject, service: Service) -> DsnSeen | None:
    for container in reached(service.template):
        variable = hit(container, subject.needs.names)
        if variable is not None:
            return dsn_of(subject.snapshot, service, variable)
    return None
