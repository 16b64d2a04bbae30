"""Whether a variable reaches the bundler of a front end: through the Dockerfile and what builds it, or a pipeline's own step."""

from __future__ import annotations

import re
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from msgspec import Struct

from sentry_audit.deployment.environments import named_in, rendered, speaks_of
from sentry_audit.deployment.names import HOSTS
from sentry_audit.facts import EnvVar, Image
from sentry_audit.model import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_audit.deployment.matching import Matching
    from sentry_audit.facts import Component, Deployment, Fact, Setting
    from sentry_audit.python.program import Files
    from sentry_audit.scanners.bundling import Bundling

#: Files that say that a platform builds the front end, with variables that are set there.
_PLATFORMS = {
    "vercel.json": "Vercel", "netlify.toml": "Netlify", "apphosting.yaml": "Firebase App Hosting", "amplify.yml": "AWS Amplify",
    "render.yaml": "Render", "railway.json": "Railway", "railway.toml": "Railway", "wrangler.toml": "Cloudflare",
    "wrangler.jsonc": "Cloudflare", "app.json": "Heroku",
}  # fmt: skip
_NOT_DEPLOYED = re.compile(r"(^|[._-])(dev|develop|development|local|test|tests|e2e|storybook|playwright|ci)([._-]|$)")
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD")
#: Variables that a pipeline's steps see without being told.
_AMBIENT = {"github": re.compile(r"^(CI|GITHUB_\w+)$")}


class Reach(Struct, frozen=True):
    """Whether a variable has a value where the front end is built; ``value`` is it, as far as it is known."""

    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()
    value: str = ""


class Building:
    """How one front end is built for one environment."""

    def __init__(
        self, component: Component, environment: str, facts: Sequence[Fact], matching: Matching, files: Files
    ) -> None:
        self.component = component
        self.environment = environment
        self.facts = facts
        self.files = files
        mine = matching.of(component.name, environment)
        made = matching.images(component, environment)
        pipelines = {item.pipeline for item in mine}
        self.images = [item for item in made if item.resource == "image"]
        self.bundles = [item for item in made if item.resource == "bundle"]
        # An image that no pipeline builds, beside the file of a host that builds the front end, is for development.
        hosted = any(item.origin in HOSTS for item in made)
        hosted = hosted and all(item.origin in HOSTS for item in made if item.resource == "image")
        self.dockerfiles = [] if hosted else self._dockerfiles()
        self.deployed = [item for item in made if item.pipeline in pipelines]
        self.sources = [item for item in mine if item.source and not item.image]

    @property
    def platform(self) -> tuple[str, str]:
        """(the platform that builds it, the file that says so), or two empty texts."""
        folder = self.component.folder
        for name, platform in _PLATFORMS.items():
            for place in dict.fromkeys((join(folder, name), name)):
                if place in self.files.paths:
                    return platform, place
        return "", ""

    def _dockerfiles(self) -> list[Bundling]:
        """The Dockerfiles that bundle the front end, those for development left out."""
        folder = self.component.folder
        images = [
            fact
            for fact in self.facts
            if isinstance(fact, Image)
            and not _NOT_DEPLOYED.search(basename(fact.path).lower())
            and (not named_in(basename(fact.path)) or self._named(basename(fact.path)))
        ]
        # A context is a folder above the files that COPY names: only one that holds the front end can bundle it.
        holding = [
            item for item in images if not item.context or (folder and f"{folder}/".startswith(f"{item.context}/"))
        ]
        inside = [item for item in images if folder and item.path.startswith(f"{folder}/")]
        for chosen in (inside, holding):
            from sentry_audit.scanners.bundling import bundling

            found = [bundling(item.path, self.files.text(item.path) or "") for item in chosen]
            found = [item for item in found if item.line is not None and (chosen is inside or self._speaks(item))]
            if found:
                return found
        return []

    def _named(self, name: str) -> bool:
        return any(speaks_of(item, self.environment) for item in named_in(name))

    def _speaks(self, item: Bundling) -> bool:
        """Whether a Dockerfile outside the folder names the front end's."""
        if self.component.path == ".":
            return True
        last = basename(self.component.path)
        return bool(re.search(rf"(?<![\w-]){re.escape(last)}(?![\w-])", item.text))

    def reach(self, name: str) -> Reach:
        """Whether the bundler sees ``name``."""
        if (found := self._dotenv(name)) is not None:
            return found
        if self.dockerfiles:
            found_ = [self._docker(name, item) for item in self.dockerfiles]
            return _best(found_)
        for item in self.bundles:
            for setting in item.settings:
                if setting.name == name:
                    return _given(setting, item)
            if "/workflows/" in f"/{item.path}" and _AMBIENT["github"].match(name):
                return Reach(Status.PASS, f"GitHub sets {name}", item.evidence)
        for item in self.sources:
            for setting in item.settings:
                if setting.build and setting.name == name:
                    return _given(setting, item)
        bundles = [item for item in self.deployed if item.resource == "bundle"]
        if bundles:
            places = tuple(place for item in bundles for place in item.evidence)
            return Reach(Status.GAP, f"what builds it does not give it {name}", places)
        mine = [item for item in self.bundles if item.source or self.component.path == "."]
        if mine and not self.platform[0]:
            places = mine[0].evidence
            unsure = f"whether that is what {self.environment} gets was not found"
            return Reach(Status.UNKNOWN, f"{places[0]} builds it without {name}, and {unsure}", places)
        platform, place = self.platform
        if platform:
            here = Evidence(place, None, None, None, platform)
            return Reach(
                Status.UNKNOWN, f"{platform} builds it ({place}): whether {name} is set there was not asked", (here,)
            )
        where = f"what builds {self.component.name} for {self.environment} was not found in the repository"
        return Reach(Status.UNKNOWN, f"{where}, so whether {name} is set there is not known")

    def _dotenv(self, name: str) -> Reach | None:
        """A dotenv file of the front end that sets a variable which is no secret."""
        if _SECRET.search(name):
            return None
        folder = self.component.folder
        for fact in self.facts:
            if isinstance(fact, EnvVar) and fact.name == name and fact.is_set and fact.origin == "dotenv":
                if fact.template or dirname(fact.path) != folder or not speaks_of(fact.environment, self.environment):
                    continue
                return Reach(Status.PASS, f"{fact.path} sets {name}", fact.evidence, fact.value)
        return None

    # --- images -----------------------------------------------------------------------------------

    def _docker(self, name: str, file: Bundling) -> Reach:
        value, line = file.env.get(name, ("", None))
        if value and "$" not in value:
            here = Evidence(file.path, line, None, None, f"{name}={value}" if not _SECRET.search(name) else name)
            return Reach(Status.PASS, f"{file.path} sets {name}", (here,), "" if _SECRET.search(name) else value)
        from sentry_audit.scanners.bundling import references

        wanted = [item for item in (references(value) or [name]) if item in file.args]
        mounts = [item for item in file.mounts if item.variable == name]
        if not wanted and not mounts:
            loose = [item for item in file.mounts if name in (item.id, item.id.upper()) or item.variable == "?"]
            if not loose:
                here = Evidence(file.path, file.line, None, None, "builds the front end")
                more = " and mounts no secret of that name" if _SECRET.search(name) else ""
                problem = (
                    f"{file.path} has no ARG {name}{more}: nothing that builds the image can give it to the bundler"
                )
                return Reach(Status.GAP, problem, (here,))
            if loose[0].variable != "?":
                here = Evidence(file.path, loose[0].line, None, None, f"mounts {loose[0].id}")
                problem = f"{file.path} mounts the secret {loose[0].id} as a file, and nothing puts it into {name}"
                return Reach(Status.GAP, problem, (here,))
            mounts = loose
        if mounts:
            return self._passed(mounts[0].id, file, mounts[0].line, "", mount=True)
        default, line = file.args[wanted[0]]
        return self._passed(wanted[0], file, line, default, mount=False)

    def _passed(self, key: str, file: Bundling, line: int | None, default: str, *, mount: bool) -> Reach:
        """Whether what builds the image gives it the argument, or the mounted secret, ``key``."""
        here = Evidence(file.path, line, None, None, f"--mount=type=secret,id={key}" if mount else f"ARG {key}")
        images = [item for item in self.images if item.dockerfile in {"", file.path}]
        for item in images:
            for setting in item.settings:
                if setting.name == key and (setting.sort == "mount") is mount:
                    given = _given(setting, item)
                    return Reach(
                        given.status, given.message, (here, *given.evidence), rendered(given.value, self.environment)
                    )
        if default:
            return Reach(Status.PASS, f"{file.path} sets {key} by default", (here,), default)
        how = f"--secret id={key}" if mount else f"--build-arg {key}"
        builds = [item for item in images if item in self.deployed]
        unresolved = next((text for item in images for text in item.unresolved), "")
        if unresolved:
            return Reach(
                Status.UNKNOWN, f"whether {how} is passed is not known: {unresolved}", (here, *images[0].evidence)
            )
        if builds or self.sources:
            places = tuple(place for item in builds or self.sources for place in item.evidence)
            verb = "passes no" if builds else "deploys from source, which passes no"
            return Reach(Status.GAP, f"{file.path} takes {key}, and {places[0]} {verb} {how}", (here, *places))
        where = f"what builds {file.path} for {self.environment} was not found in the repository"
        return Reach(Status.UNKNOWN, f"{where}, so whether it passes {how} is not known", (here,))

    def git_head(self) -> Reach:
        """Whether the bundler can ask git for the commit: it needs the program, and the history in its folder."""
        if not self.dockerfiles:
            return Reach(Status.UNKNOWN, "whether git's history is there was not found")
        file = self.dockerfiles[0]
        here = Evidence(file.path, file.line, None, None, "builds the front end")
        whole = any(source.strip("./") in {"", ".git"} for source in file.copies)
        if not whole:
            return Reach(Status.GAP, f"{file.path} copies no .git", (here,))
        if dirname(file.path) and not any(item.source in {"", "."} for item in self.images):
            return Reach(Status.GAP, f"{file.path} is built in {dirname(file.path)}, where no .git is", (here,))
        for ignore in (f"{file.path}.dockerignore", join(dirname(file.path), ".dockerignore"), ".dockerignore"):
            if ignore in self.files.paths:
                rows = enumerate((self.files.text(ignore) or "").splitlines(), 1)
                line = next(
                    (
                        number
                        for number, row in rows
                        if row.strip().strip("/").removeprefix("**/") in {".git", ".git*", ".*"}
                    ),
                    None,
                )
                if line is not None:
                    there = Evidence(ignore, line, None, None, ".git")
                    return Reach(Status.GAP, f"{ignore} keeps .git out of the image", (here, there))
                break
        if not file.git:
            return Reach(Status.GAP, f"{file.path} has no git program", (here,))
        return Reach(Status.PASS, "git's HEAD", (here,))


def _given(setting: Setting, item: Deployment) -> Reach:
    shown = f"{setting.name} from the secret {setting.secret}" if setting.secret else setting.name
    here = Evidence(item.path, setting.line or item.line, None, None, shown)
    if not setting.is_set:
        return Reach(Status.GAP, f"{here} gives {setting.name} no value", (here,))
    return Reach(Status.PASS, f"the build gets {shown}", (here,), setting.value)


def _best(found: Sequence[Reach]) -> Reach:
    order = (Status.PASS, Status.UNKNOWN, Status.GAP)
    return min(found, key=lambda item: order.index(item.status))
