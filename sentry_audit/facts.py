"""Everything a check may speak of: one frozen struct per kind of thing we can know.

The first part is what scanners read; the second is what derivers conclude for one component in
one environment. A fact whose ``unknown`` is set could not be determined: a check on it is
``unknown`` with that reason. Field names are the SDK's own where the SDK has a name.
"""

from __future__ import annotations

import re
from typing import ClassVar, TypeVar

from msgspec import Struct

from sentry_audit.model import Evidence  # noqa: TC001 - msgspec.structs.fields evaluates it

F = TypeVar("F", bound="Fact")
KINDS: dict[str, type[Fact]] = {}


class Fact(Struct, frozen=True, kw_only=True):
    """What every fact has: whose it is, where it was seen, and whether it could be determined.

    ``unknown`` says why it could not be, ``""`` if it could; ``hint`` then what would let it be (a command to paste).
    ``needless`` says why nothing has to hold here: checks on it are skipped, and break no link of the chain.
    Fields that many kinds share mean the same in all: ``problem`` and ``why_not`` say what is wrong here (``""``: nothing),
    ``source`` where a value comes from, in words; ``name`` is what the fact is about; ``path`` and ``line`` are where it
    stands in the repository.
    """

    kind: ClassVar[str] = "fact"
    #: Fields that say what a fact is about even where nothing is known of it: a check of others does not look at it.
    identity: ClassVar[frozenset[str]] = frozenset()
    component: str = ""
    evidence: tuple[Evidence, ...] = ()
    unknown: str = ""
    hint: str = ""
    needless: str = ""

    def __init_subclass__(cls) -> None:
        """Register the kind under its snake_case name."""
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        KINDS[cls.kind] = cls


def is_live(kind: str) -> bool:
    """Whether facts of a kind are there only where Google Cloud or Sentry was asked: no file of a repository tells them."""
    return KINDS[kind].__module__.rpartition(".")[2] in {"cloud_facts", "sentry_facts"}


# --- what scanners read -------------------------------------------------------------------------


class Manifest(Fact, frozen=True, kw_only=True):
    """A file that declares or locks dependencies.

    ``format``: requirements, pyproject, pipfile, setup.cfg, setup.py, poetry.lock, uv.lock,
    pdm.lock, Pipfile.lock. ``includes``: other manifests it pulls in (``-r``), as written,
    resolved against the file's folder. ``package``: the name of the package it describes.
    ``scripts``: the commands it installs, as (name, ``module:function``).
    """

    path: str
    format: str
    lock: bool = False
    includes: tuple[str, ...] = ()
    package: str = ""
    scripts: tuple[tuple[str, str], ...] = ()


class Dependency(Fact, frozen=True, kw_only=True):
    """One declared requirement. ``group`` is ``""`` for runtime, else the group's or extra's name.

    ``optional`` is true for extras (installed only when asked for); groups are named in ``group``.
    """

    path: str
    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    group: str = ""
    optional: bool = False
    marker: str = ""
    line: int | None = None


class LockedPackage(Fact, frozen=True, kw_only=True):
    """One package pinned in a lock file. ``required_by`` names the packages that pull it in."""

    path: str
    name: str
    version: str
    required_by: tuple[str, ...] = ()
    line: int | None = None


class Install(Struct, frozen=True):
    """One step of an image build that installs Python packages.

    ``tool``: pip, poetry, uv, pipenv, pdm. ``files``: requirement files or project folders named,
    as paths relative to the repository where they could be resolved. ``packages``: requirements
    on the command line. ``groups``: groups added; ``without``: groups left out; ``only``: only
    these groups; ``extras``: extras asked for; ``dev``: whether development groups are installed.
    """

    tool: str
    line: int
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    dev: bool = False


class Image(Fact, frozen=True, kw_only=True):
    """A Dockerfile: what it installs and how it starts.

    ``context`` is the folder it is taken to be built in (its own unless compose or a pipeline
    says otherwise); ``copied`` are (source, destination) pairs relative to the context; ``env`` are
    the names its last stage sets with ENV, ``args`` those that any stage takes with ARG. ``command`` is
    the final CMD with its ENTRYPOINT, as one argument list (a shell form is split); ``unresolved`` says
    what could not be followed. ``bundles_at`` is the line that builds a front end, if one does, ``args_at`` the lines
    of ``args``.
    """

    path: str
    context: str = ""
    base: str = ""
    workdir: str = ""
    installs: tuple[Install, ...] = ()
    copied: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    bundles_at: int | None = None
    args_at: tuple[int, ...] = ()


class Process(Fact, frozen=True, kw_only=True):
    """One way something is started: a Procfile line, a compose service, a Dockerfile's CMD.

    ``command`` is the argument list; ``context`` is the folder it starts in, relative to the
    root; ``image`` is the Dockerfile it runs in, if known.
    """

    path: str
    name: str
    command: tuple[str, ...]
    context: str = ""
    image: str = ""
    origin: str = ""
    line: int | None = None


class EnvVar(Fact, frozen=True, kw_only=True):
    """One assignment in a dotenv file, a template of one, or an image's ENV.

    ``value`` is kept only for names that cannot be secret (``SENTRY_ENVIRONMENT``, rates, flags);
    a DSN is in ``dsn`` (redacted) instead. ``template`` is true for ``.env.example`` and the like.
    ``environment`` is the environment the file's name speaks of, or ``""``. ``builds`` are the environments for which
    the build of the front end beside it reads the file (``*``: all that are deployed; none: nothing reads it); None
    where there is no front end.
    ``reference``: the variable whose value it takes on, and nothing else (``${SENTRY_DSN:-}``).
    """

    path: str
    name: str
    is_set: bool = False
    reference: str = ""
    value: str = ""
    template: bool = False
    environment: str = ""
    line: int | None = None
    origin: str = "dotenv"
    builds: tuple[str, ...] | None = None

    def is_built_into(self, environment: str) -> bool:
        """Whether a front end that is built for ``environment`` (its usual name) has the value."""
        if self.builds is None or self.environment == environment:
            return self.builds != () and self.environment in {"", environment}
        return "*" in self.builds and environment not in {"development", "test"}


class Dsn(Fact, frozen=True, kw_only=True):
    """A DSN that stands somewhere, never its key: ``shown`` is the redacted form.

    ``valid`` follows the strict grammar of both SDKs; ``problem`` says what breaks it.
    ``fingerprint`` lets two DSNs be compared; ``project`` and ``host`` say where events would go.
    ``hardcoded``: committed in code or an environment file; ``placeholder``: an example.
    """

    shown: str
    valid: bool
    problem: str = ""
    fingerprint: str = ""
    project: str = ""
    host: str = ""
    name: str = ""
    hardcoded: bool = False
    placeholder: bool = False
    environment: str = ""


class AuthToken(Fact, frozen=True, kw_only=True):
    """A Sentry auth token that stands in a file, or an image ARG/ENV that would bake one in."""

    name: str
    private: bool = False
    problem: str = ""


class Setting(Struct, frozen=True):
    """One variable that a deployment sets, updates or removes.

    ``operation``: set (replaces all others of its sort), update, remove, clear (all of its sort; no name).
    ``sort``: plain, secret, or mount (a secret that BuildKit mounts by this id).
    ``value`` is shown only where it cannot be secret, a DSN redacted; ``secret`` and
    ``version`` name the Secret Manager secret. ``build`` settings exist while the image is built, not when it runs.
    ``path`` is the file that ``line`` is in, where that is another than the deployment's; ``project`` the secret's,
    where it is named with it.
    """

    name: str
    operation: str = "update"
    sort: str = "plain"
    value: str = ""
    is_set: bool = True
    secret: str = ""
    version: str = ""
    line: int | None = None
    build: bool = False
    path: str = ""
    project: str = ""


#: Resources that are built, not run.
BUILDS = frozenset({"image", "bundle"})


class Deployment(Fact, frozen=True, kw_only=True):
    """One place that says what a Cloud Run service or job gets when it is deployed the next time.

    ``origin``: gcloud, deploy-cloudrun, knative, terraform, script, docker-build. ``resource``: service, job, image, or
    bundle (a front end that is built outside an image).
    ``service`` is its name as far as it could be followed. ``environment`` is the one it speaks of (``""``: none),
    ``rule`` says what told so. ``declarative`` ones give the whole state (Terraform, Knative), the others change it.
    ``image`` and ``source`` (a folder, ``dockerfile`` in or below it) say what is deployed; ``order`` is its place among
    the steps of its file.
    ``unresolved`` says what could not be followed: then a variable that is not listed may still be there.
    ``pipeline`` is the file that starts it all: the workflow that calls a script. ``ignored`` says what stands there
    to no effect. ``project`` (an id or a number) and ``region`` say where it is deployed to, ``""`` where that was not
    followed; like ``service`` they may hold the variable of the environment's name, and no other.
    """

    path: str
    origin: str
    pipeline: str = ""
    service: str
    resource: str = "service"
    environment: str = ""
    rule: str = ""
    declarative: bool = False
    settings: tuple[Setting, ...] = ()
    image: str = ""
    source: str = ""
    dockerfile: str = ""
    order: int = 0
    line: int | None = None
    unresolved: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    project: str = ""
    region: str = ""


class SecretDeclared(Fact, frozen=True, kw_only=True):
    """A place that creates a secret or lists secret names: Terraform, a script.

    ``name`` as far as it could be followed; ``environment`` and ``project`` as for deployments; ``origin``: terraform,
    script, or version for one that a script only gives a value.
    """

    path: str
    name: str
    origin: str
    environment: str = ""
    line: int | None = None
    unresolved: str = ""
    project: str = ""


class ReleaseStep(Fact, frozen=True, kw_only=True):
    """A command or an action that tells Sentry of a release, or uploads source maps.

    ``tool``: action-release, sentry-cli, fastlane, netlify. ``does``: release, source-maps. ``removed`` is the command that
    takes the place of one that sentry-cli 3 no longer has; ``version`` the sentry-cli that runs, as far as it is pinned
    (``newest``: it is not). ``script`` is the name of the package.json script that it stands in.
    """

    path: str
    tool: str
    does: tuple[str, ...] = ()
    command: str = ""
    removed: str = ""
    version: str = ""
    folder: str = ""
    script: str = ""


# --- what derivers conclude ---------------------------------------------------------------------


class Component(Fact, frozen=True, kw_only=True):
    """A deployable piece of the repository.

    ``role``: service, worker or job. ``start`` is the command that starts it, ``server`` what
    serves it (uvicorn, gunicorn, gunicorn+uvicorn, hypercorn, flask, django, celery, rq, arq,
    python), ``reasons`` why we take it for a component.
    """

    name: str
    path: str
    ecosystem: str = "pypi"
    role: str = "service"
    framework: str = ""
    entry_point: str | None = None
    server: str = ""
    start: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its folder, ``""`` for the root."""
        return "" if self.path == "." else self.path

    def holds(self, path: str) -> bool:
        """Whether ``path`` is below its folder."""
        return self.path == "." or path.startswith(f"{self.path}/")


class SdkDependency(Fact, frozen=True, kw_only=True):
    """Whether what the component's image installs contains sentry-sdk, and in which version.

    ``declared`` is false when only another place has it (``why_not`` says which); ``bounded``
    is true when an upper bound or a lock keeps the next major out. ``version`` is the one that
    resolves: locked, pinned, or the newest measured one that the specifier allows.
    """

    declared: bool = False
    why_not: str = ""
    specifier: str = ""
    version: str = ""
    locked: bool = False
    bounded: bool = False


class SdkSetup(Fact, frozen=True, kw_only=True):
    """Whether a component initialises the SDK at all.

    ``present``: an active ``sentry_sdk.init`` exists in the component; ``reachable``: what starts
    the component calls it; ``overridden``: a later reachable init without a DSN replaces it.
    """

    present: bool = False
    reachable: bool = False
    why_not: str = ""
    overridden: bool = False


class SdkInit(Fact, frozen=True, kw_only=True):
    """One active call of ``sentry_sdk.init`` that the component can reach.

    ``enabled`` is false when its conditions cannot hold in this environment (``condition`` shows
    them); ``swallowed`` when a failure of init is caught and not made visible.
    ``dsn`` is how its DSN argument ends: env, literal, default, empty, none, unfilled; ``options`` are those it is given.
    """

    enabled: bool = True
    condition: str = ""
    why_not: str = ""
    swallowed: bool = False
    dsn: str = ""
    options: tuple[str, ...] = ()


class DsnArgument(Fact, frozen=True, kw_only=True):
    """Where the DSN that init is given comes from, followed to its end in one environment.

    ``resolves``: it ends in ``variables`` or a valid literal; where it does not, ``dead_end`` says what it ends in.
    ``also`` says what else may give it where ``variables`` are not set, and was not followed; ``literal``: a DSN that
    stands in the code does then. ``secret``: the one that the program itself reads it from.
    """

    resolves: bool = False
    dead_end: str = ""
    source: str = ""
    variables: tuple[str, ...] = ()
    also: str = ""
    literal: bool = False
    secret: str = ""


class EnvironmentLabel(Fact, frozen=True, kw_only=True):
    """Where init takes the environment's name from: ``variables``, the SDK's own if it has none; none if code says it."""

    variables: tuple[str, ...] = ("SENTRY_ENVIRONMENT",)


class SdkSymbol(Fact, frozen=True, kw_only=True):
    """One option, integration argument or SDK name in use, and whether the version has it.

    ``exists`` is false where ``version`` does not have it; ``swallowed``: what that raises is caught and not made visible.
    """

    name: str
    version: str = ""
    exists: bool = True
    problem: str = ""
    swallowed: bool = False


class WorkerEntry(Fact, frozen=True, kw_only=True):
    """A worker, queue or cron entry point, and whether its imports initialise the SDK. ``worker``: what runs it."""

    name: str
    worker: str = ""
    initialised: bool = False


class ConfigClass(Fact, frozen=True, kw_only=True):
    """The settings class (or classes) in use, and which Sentry fields it has.

    ``has_dsn``, ``has_environment`` and ``has_enabled``: the class in use in this environment has a field for it;
    ``mapped`` is false where nothing fills some of them (``unmapped``); ``unused`` are those that init does not use.
    """

    name: str
    has_dsn: bool = False
    has_environment: bool = False
    has_enabled: bool = False
    mapped: bool = True
    unmapped: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


class SampleRate(Fact, frozen=True, kw_only=True):
    """One sampling option of init: whether it can do what its author meant (``effective``).

    ``value`` is how it is written; ``per_environment``: it may differ between environments; ``full``: the rate is 1,
    ``zero``: it is 0.
    """

    option: str
    value: str = ""
    effective: bool = True
    problem: str = ""
    per_environment: bool = False
    full: bool = False
    zero: bool = False


class Hook(Fact, frozen=True, kw_only=True):
    """A ``before_send`` (or its like), the ``option`` of init, and whether an event survives its ``function``."""

    option: str
    function: str = ""
    keeps_events: bool = True
    problem: str = ""


class DsnMatrix(Fact, frozen=True, kw_only=True):
    """Which Sentry project each environment's DSN leads to (``projects``), and whether Sentry can tell them apart.

    ``distinct``: by their projects, or by the environment that events are labelled with (``source`` says by which).
    """

    distinct: bool = True
    projects: tuple[str, ...] = ()
    source: str = ""
    problem: str = ""


class EnvTemplate(Fact, frozen=True, kw_only=True):
    """A dotenv template, and which Sentry variables that the code reads it omits: ``missing``, none if ``complete``."""

    path: str
    complete: bool = True
    missing: tuple[str, ...] = ()


class Shutdown(Fact, frozen=True, kw_only=True):
    """Whether events that are queued at SIGTERM are sent.

    ``flushes``: the ``server`` lets the SDK flush by itself, or the code flushes on shutdown. ``elsewhere``: where the
    code flushes otherwise, if it does not.
    """

    server: str = ""
    flushes: bool = True
    elsewhere: str = ""
    problem: str = ""


class JobExit(Fact, frozen=True, kw_only=True):
    """How a short-lived process ends: whether its events are sent before it does."""

    flushes: bool = True
    problem: str = ""


class Integrations(Fact, frozen=True, kw_only=True):
    """What captures errors by itself: default, auto-enabled and listed integrations.

    ``active`` is false when the framework's own integration is off or narrowed (``problem``).
    """

    framework: str = ""
    active: bool = True
    problem: str = ""


class ErrorHandler(Fact, frozen=True, kw_only=True):
    """Code that turns an exception into an answer, and whether Sentry still hears of it.

    ``where``: exception_handler, middleware, route, websocket, worker; ``handles``: which exceptions; ``answers``: with
    which status. ``captures`` is true when it re-raises, captures or logs at error level.
    """

    where: str
    handles: str = ""
    answers: str = ""
    captures: bool = True
    problem: str = ""


class RequestContext(Fact, frozen=True, kw_only=True):
    """What each request tells Sentry about itself: user, request id, agent run.

    ``has_authentication``: requests are made by users who are known; ``agents`` are those that run on requests.
    """

    has_authentication: bool = False
    sets_user: bool = False
    sets_request_id: bool = False
    sets_agent: bool = False
    agents: tuple[str, ...] = ()


class Tracing(Fact, frozen=True, kw_only=True):
    """Whether spans are made (``enabled``) of one ``area``, and the ``library`` whose spans are missing."""

    library: str = ""
    area: str = ""
    enabled: bool = True
    problem: str = ""


class Privacy(Fact, frozen=True, kw_only=True):
    """What leaves the application besides the error itself.

    ``pii`` says what ``send_default_pii`` sends, ``problem`` what switches the scrubber off, ``unscrubbed`` what is
    sent as it is, ``scrubbed`` what is not; ``scrubbable`` is false where there is nothing to judge: no hook, no replay.
    ``uses_llm``: models are called; ``collects_prompts``: what they are asked is sent.
    """

    send_default_pii: bool = False
    pii: str = ""
    scrubber_active: bool = True
    scrubbable: bool = True
    scrubbing: bool = False
    unscrubbed: str = ""
    scrubbed: str = ""
    collects_prompts: bool = False
    uses_llm: bool = False
    problem: str = ""


class Release(Fact, frozen=True, kw_only=True):
    """The release that events are labelled with, and how it is set.

    ``variables`` are those that it comes from, the first that has a value; ``constant`` is what is sent when none has
    one. ``made_from``: the commit, the short commit, the tag, the package's version, as far as that could be told.
    """

    is_set: bool = False
    source: str = ""
    problem: str = ""
    variables: tuple[str, ...] = ()
    constant: str = ""
    made_from: str = ""


class SharedRelease(Fact, frozen=True, kw_only=True):
    """Whether a front end and a back end of one repository make their releases from the same thing.

    ``source`` is what the front end's are made from, ``other`` what the back end's are, where that is something else.
    """

    agrees: bool = True
    source: str = ""
    other: str = ""
    problem: str = ""


class ReleaseInCi(Fact, frozen=True, kw_only=True):
    """Whether the pipelines that build or deploy a component record its releases in Sentry."""

    recorded: bool = False
    source: str = ""
    problem: str = ""


class HealthChecks(Fact, frozen=True, kw_only=True):
    """Whether ``probes``, the paths that ask whether the service is up, make transactions (``traced``)."""

    probes: tuple[str, ...] = ()
    traced: bool = False


class DeployedDsn(Fact, frozen=True, kw_only=True):
    """Whether what the repository deploys gives the component the variable that its DSN comes from.

    ``variables`` are those that the code reads, ``source`` what provides one; ``secret`` the secret it comes from,
    in its ``version``.
    """

    declared: bool = False
    variables: tuple[str, ...] = ()
    source: str = ""
    secret: str = ""
    version: str = ""
    problem: str = ""


class DeployedEnvironment(Fact, frozen=True, kw_only=True):
    """Whether events are labelled with the environment: by the code, or by a variable of the deployment."""

    declared: bool = False
    source: str = ""
    problem: str = ""


class DeployWipe(Fact, frozen=True, kw_only=True):
    """Whether a pipeline keeps the DSN variable of a component, which it or another definition sets."""

    keeps: bool = True
    problem: str = ""


class TerraformDsn(Fact, frozen=True, kw_only=True):
    """Whether Terraform, where it manages an environment's services or secrets, manages the Sentry DSN too."""

    managed: bool = True
    problem: str = ""


class SecretScript(Fact, frozen=True, kw_only=True):
    """Whether a script that creates secrets creates one for the Sentry DSN (``covers``); ``names`` are those it creates."""

    path: str
    covers: bool = False
    names: tuple[str, ...] = ()


class SecretName(Fact, frozen=True, kw_only=True):
    """Whether those who create secrets call the DSN's as the deployment does that takes it from there."""

    name: str
    agrees: bool = True
    problem: str = ""


# --- the front end --------------------------------------------------------------------------------


class FrontendSdk(Fact, frozen=True, kw_only=True):
    """Whether the front end depends on a Sentry SDK for browsers, and on the one made for its framework.

    ``dev``: only among the development dependencies, which is enough for what is bundled. ``version`` is the lock
    file's, else the lowest that ``specifier`` allows.
    """

    declared: bool = False
    package: str = ""
    specifier: str = ""
    version: str = ""
    dev: bool = False
    why_not: str = ""
    matches_framework: bool = True
    problem: str = ""


class FrontendSetup(Fact, frozen=True, kw_only=True):
    """Whether an init for browsers stands in a file that the framework loads, and is called there.

    ``ignored``: it stands in ``sentry.client.config``, which the bundler in use does not load.
    """

    present: bool = False
    loaded: bool = False
    ignored: bool = False
    why_not: str = ""


class FrontendEnabled(Fact, frozen=True, kw_only=True):
    """Whether the ``condition`` in front of a browser's init holds in what is built for the environment."""

    enabled: bool = True
    condition: str = ""


class FrontendDsn(Fact, frozen=True, kw_only=True):
    """Where the DSN of a browser's init comes from: ``variable``, or a literal; ``public`` if the bundler puts it in."""

    variable: str = ""
    source: str = ""
    public: bool = True
    problem: str = ""


class DsnGuard(Fact, frozen=True, kw_only=True):
    """A condition in front of init that looks at the DSN; ``rejects`` are the kinds of real DSN that it keeps out.

    ``keeps_real``: it lets through those that sentry.io hands out today.
    """

    expression: str
    keeps_real: bool = True
    rejects: tuple[str, ...] = ()


class FrontendVariable(Fact, frozen=True, kw_only=True):
    """Whether the variable that a browser's DSN comes from has a value where the front end is built.

    ``provided``: it has one when the bundler runs; ``given``: something gives it one; ``late``: only to the running
    service, which is without effect; ``at_run_time``: it is not compiled in, the server reads it while it runs.
    ``by_hand`` says why no edit can give it one.
    """

    name: str
    provided: bool = False
    given: bool = False
    late: bool = False
    at_run_time: bool = False
    source: str = ""
    problem: str = ""
    by_hand: str = ""


class ContentPolicy(Fact, frozen=True, kw_only=True):
    """A Content Security Policy on the front end's pages, and whether it lets them send events to Sentry.

    ``passes`` are the kinds of DSN, or the known hosts, that it lets through; ``source`` says so in words.
    """

    allows: bool = True
    passes: tuple[str, ...] = ()
    source: str = ""
    problem: str = ""


class FrontendTracing(Fact, frozen=True, kw_only=True):
    """Whether a sampling rate of a browser's init has an integration that makes spans, replays or profiles."""

    effective: bool = True
    problem: str = ""


class SourceMaps(Fact, frozen=True, kw_only=True):
    """Whether a bundle's stack traces can be read, and by nobody else.

    ``topic``: upload (``good``: the build uploads its source maps) or serving (``good``: browsers cannot load them).
    """

    topic: str
    good: bool = False
    source: str = ""
    problem: str = ""


class ErrorBoundary(Fact, frozen=True, kw_only=True):
    """What catches errors of a front end before its global handlers do, and whether Sentry hears of them.

    ``sort``: class, library (react-error-boundary), sentry, route (error.tsx, useRouteError), global-error, page (_error),
    request (Next.js: onRequestError), framework (Vue, SvelteKit, Angular). ``present`` is false for one that should be
    there; ``context``: the component's stack, or tags, are sent too.
    """

    name: str
    sort: str
    present: bool = True
    captures: bool = True
    context: bool = True
    problem: str = ""


class FrontendUser(Fact, frozen=True, kw_only=True):
    """Whether events of a front end say whose they are: set after signing in, cleared after signing out."""

    has_authentication: bool = False
    sets_user: bool = False
    clears_user: bool = False
    problem: str = ""


class TracePropagation(Fact, frozen=True, kw_only=True):
    """Whether a trace goes on from a browser to the back end: one side of it.

    ``side``: tracing (each end must sample), targets (what the browser sends it to), cors (what the back end lets
    through). ``api`` is the other end, ``address`` how the front end knows it.
    """

    side: str
    api: str = ""
    address: str = ""
    works: bool = True
    problem: str = ""


class Proof(Fact, frozen=True, kw_only=True):
    """What a booted application showed, or did not, on the wire; only ``verify`` makes these.

    ``shown``: it did; ``reason`` is a word for why not (no-dsn, before-send-dropped, …); ``how`` says by which way it was
    tried: route (its own), harness (a route that verify puts behind its middleware), boot.
    """

    identity: ClassVar[frozenset[str]] = frozenset({"name"})
    name: str
    shown: bool = False
    problem: str = ""
    reason: str = ""
    how: str = ""
