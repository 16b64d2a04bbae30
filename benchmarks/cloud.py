"""How long Google Cloud is read, and how many calls that takes, as ratios against named peers in the same run.

Usage: ``python benchmarks/cloud.py [--latency 0.08] [--times 5]``. A loopback server in a process of its own holds
500 services in 5 regions and 5,000 secrets, and takes 80 ms for every call. Ten components of a repository run there:
ten services, each with a secret of its own for the DSN; two of them serve an older revision, one account may read its
secret only through the project's policy. Reported are, the best of five each, taking turns with the peer:

- the calls that were made against the minimal set: the lists of 5 regions' services and of the secrets (1), the
  revision that serves, the secret's version, its policy and its payload for each of the ten (40), and the project's
  policy (1): 47;
- the wall time against the critical path of that set: the longest chain of calls that each need the answer of the one
  before (services → a secret's version → its payload; services → its policy → the project's), times the latency,
  as if everything else were free and any number of calls could run at once;
- the same calls made one after the other with the same Google clients (the peer);
- peak memory of a whole process with 5,000 and with 50 secrets.

The time that it takes to load the Google packages is told apart: every process pays it once.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

PROJECT = "shop-staging"
REGIONS = ("europe-west1", "europe-west4", "us-central1", "us-east1", "asia-east1")
SERVICES, SECRETS, COMPONENTS = 500, 5000, 10
#: Calls in the longest chain of the minimal set.
CHAIN = 3
MINIMAL = len(REGIONS) + 1 + 4 * COMPONENTS + 1
DSN = "https://0123456789abcdef0123456789abcdef@o123.ingest.us.sentry.io/451"


def serve(secrets: int, latency: float) -> None:
    """Serve the world; each line on stdin is answered by the methods that were called since the last one."""
    from tests.gcp_server.building import add_service
    from tests.gcp_server.messages import SecretRef, template, to_revision
    from tests.gcp_server.server import GcpServer
    from tests.gcp_server.state import ACCESSOR, State, grant

    state = State()
    project = state.add_project(PROJECT, regions=list(REGIONS))
    accounts = [f"run-{index}@{PROJECT}.iam.gserviceaccount.com" for index in range(COMPONENTS)]
    for index in range(COMPONENTS):
        project.add_secret(f"sentry-dsn-{index}", DSN, accessors=accounts[index : index + 1] if index else ())
    grant(project.policy, ACCESSOR, accounts[0])
    for index in range(secrets - COMPONENTS):
        project.add_secret(f"other-{index:04d}", "x" * 100)
    for index in range(SERVICES):
        env: dict[str, str | SecretRef] = {f"SETTING_{number}": "value" for number in range(20)}
        made = template(env=env)
        if index < COMPONENTS:
            env["SENTRY_DSN"] = SecretRef(f"sentry-dsn-{index}")
            made = template(env=env, account=accounts[index])
        pinned = index in {3, 7}
        add_service(
            project,
            f"service-{index}",
            made,
            region=REGIONS[index % len(REGIONS)],
            earlier=[template(env={**env, "SETTING_0": "old"}, account=accounts[index])] if pinned else (),
            traffic=[to_revision(f"service-{index}-00001", 100)] if pinned else (),
        )
    with GcpServer(state) as server:
        server.latency = latency
        print(server.endpoint, flush=True)
        for _ in sys.stdin:
            print(json.dumps([call.method for call in server.calls]), flush=True)
            server.calls.clear()


def ours(endpoint: str) -> dict[str, Any]:
    """Read the world twice in this process: with the time that loading takes, and without it."""
    from sentry_audit.cloud import CloudOptions, Target
    from sentry_audit.sources.gcp import read

    targets = [
        Target(
            component=f"c{index}", environment="staging", project=PROJECT, service=f"service-{index}", regions=REGIONS
        )
        for index in range(COMPONENTS)
    ]
    walls = []
    for _ in range(2):
        started = time.perf_counter()
        snapshot = read(targets, CloudOptions(endpoint=endpoint))
        walls.append(time.perf_counter() - started)
    project = snapshot.projects[0]
    read_ones = [version.dsn for secret in project.secrets for version in secret.versions if version.dsn]
    assert (len(project.services), len(read_ones), project.unlisted) == (SERVICES, COMPONENTS, ())
    return {"first": walls[0], "wall": walls[1]}


def peer(endpoint: str) -> dict[str, Any]:
    """The same calls with the Google clients, one after the other."""
    import grpc
    from google.cloud import run_v2, secretmanager_v1
    from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
    from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport,
    )
    from google.iam.v1 import iam_policy_pb2, policy_pb2

    channel = grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])
    services = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel))
    revisions = run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel))
    secrets = secretmanager_v1.SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
    started = time.perf_counter()
    named = []
    for region in REGIONS:
        found = services.list_services(request={"parent": f"projects/{PROJECT}/locations/{region}", "page_size": 500})
        named += [item for item in found if int(item.name.rpartition("-")[2]) < COMPONENTS]
    list(secrets.list_secrets(request={"parent": f"projects/{PROJECT}", "page_size": 25000, "filter": "name:sentry"}))
    for item in named:
        revision = item.traffic_statuses[0].revision or item.latest_ready_revision.rpartition("/")[2]
        revisions.get_revision(name=f"{item.name}/revisions/{revision}")
        secret = f"projects/{PROJECT}/secrets/{item.template.containers[0].env[-1].value_source.secret_key_ref.secret}"
        version = secrets.get_secret_version(name=f"{secret}/versions/latest")
        secrets.get_iam_policy(request={"resource": secret})
        secrets.access_secret_version(name=version.name)
    channel.unary_unary(
        "/google.cloud.resourcemanager.v3.Projects/GetIamPolicy",
        request_serializer=iam_policy_pb2.GetIamPolicyRequest.SerializeToString,
        response_deserializer=policy_pb2.Policy.FromString,
    )(iam_policy_pb2.GetIamPolicyRequest(resource=f"projects/{PROJECT}"))
    return {"wall": time.perf_counter() - started}


class Server:
    """The server, in its own process."""

    def __init__(self, secrets: int, latency: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(secrets), "--latency", str(latency)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()

    def calls(self) -> list[str]:
        """The methods that were called since the last time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def run(kind: str, endpoint: str) -> dict[str, Any]:
    """Run one client in a process of its own."""
    ran = subprocess.run([sys.executable, __file__, f"--{kind}", endpoint], capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout))


def compare(latency: float, times: int) -> None:
    """Run everything, and say what came out."""
    server, small = Server(SECRETS, latency), Server(50, latency)
    try:
        read, sequential, little = [], [], []
        for _ in range(times):
            read.append(run("ours", server.endpoint))
            made = server.calls()
            sequential.append(run("peer", server.endpoint))
            theirs = server.calls()
            little.append(run("ours", small.endpoint))
    finally:
        server.close()
        small.close()
    wall, first = (min(item[key] for item in read) for key in ("wall", "first"))
    other = min(item["wall"] for item in sequential)
    path = CHAIN * latency
    print(f"{SERVICES} services in {len(REGIONS)} regions, {SECRETS} secrets, {latency * 1000:.0f} ms per call")
    print(f"calls: {len(made) // 2} (minimal set: {MINIMAL}; the peer: {len(theirs)})")
    print(f"critical path of the minimal set: {CHAIN} calls one after the other, {path * 1000:.0f} ms")
    print(f"wall time: {wall * 1000:.0f} ms, {wall / path:.2f} × the critical path")
    print(f"  with loading the Google packages, once per process: {first * 1000:.0f} ms, {first / path:.2f} ×")
    print(
        f"the same calls one after the other with the Google clients: {other * 1000:.0f} ms, {other / wall:.1f} × ours"
    )
    many, few = (min(item["memory"] for item in items) for items in (read, little))
    print(f"peak memory: {many:.1f} MB with {SECRETS} secrets, {few:.1f} MB with 50")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.08)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.latency)
    elif chosen.ours or chosen.peer:
        told = ours(chosen.ours) if chosen.ours else peer(chosen.peer)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(told | {"memory": peak}))
    else:
        compare(chosen.latency, chosen.times)


if __name__ == "__main__":
    main()
