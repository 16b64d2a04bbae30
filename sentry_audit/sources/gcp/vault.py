"""Changes of Secret Manager, and how they are taken back. What is there already is left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sentry_audit.cloud import Failure
from sentry_audit.errors import FixFailed
from sentry_audit.sources.gcp import payloads
from sentry_audit.sources.gcp.records import LABEL, MADE_BY, Done, SecretNote, key, read_note, write_note
from sentry_audit.sources.gcp.session import PASSING, TRIES, UNSURE

if TYPE_CHECKING:
    from sentry_audit.fixing import Operation
    from sentry_audit.sources.gcp.session import Session

ROLE = "roles/secretmanager.secretAccessor"
_ENABLED, _DISABLED = 1, 2  # of SecretVersion.State


class Vault:
    """The secrets of one run."""

    def __init__(self, session: Session, run: str) -> None:
        self._session, self._writers, self._run = session, session.writers, run

    # --- a secret ----------------------------------------------------------------------------------

    def create(self, operation: Operation) -> Done:
        """Create a secret, unless there is one: another's is used, never taken for ours."""
        name = operation.resource
        note = SecretNote(run=self._run, created=True)
        holder = _Annotated()
        write_note(holder, note)
        made = self._session.ask(
            "CreateSecret",
            name,
            lambda timeout: self._writers.create_secret(name, {LABEL: MADE_BY}, holder.annotations, timeout),
        )
        done = Done(does=operation.does, resource=name, key=key(operation), created=True)
        if not isinstance(made, Failure):
            return done
        if made.code != "ALREADY_EXISTS":
            raise self._session.error(made)
        there = self._secret(name)
        known = read_note(there, SecretNote) if not isinstance(there, Failure) else None
        if known is not None and known.run == self._run and known.created:
            return done
        told = f"{name} was there already and was not created by this run: it is used, and stays when this is undone"
        return replace(done, created=False, note=told)

    def uncreate(self, done: Done) -> str:
        """Delete a secret that this run created and that nobody has used for anything else since."""
        name = done.resource
        there = self._secret(name)
        if isinstance(there, Failure):
            if there.code == "NOT_FOUND":
                return f"{name} is not there any more"
            raise self._session.error(there)
        note = read_note(there, SecretNote)
        if not done.created or note is None or note.run != self._run or not note.created:
            return f"{name} stays: this run did not create it"
        versions = self._session.must("ListSecretVersions", name, lambda timeout: self._writers.versions(name, timeout))
        others = [item for item in versions if _number(item) != note.version]
        if others:
            return f"{name} stays: version {_number(others[0])} of it was added by somebody else"
        policy = self._policy(name)
        members = [member for binding in policy.bindings for member in binding.members]
        if members:
            return f"{name} stays: {members[0]} may read it"
        self._session.must("DeleteSecret", name, lambda timeout: self._writers.delete_secret(name, there.etag, timeout))
        return f"{name} was deleted"

    # --- a version ---------------------------------------------------------------------------------

    def add(self, operation: Operation, dsn: str | None) -> Done:
        """Add a version that holds ``dsn`` and nothing else, unless the newest one does.

        Raises FixFailed without a DSN, or if Secret Manager does not confirm what it got.
        """
        name = operation.resource
        if not dsn:
            raise FixFailed(f"no version was added to {name}: no DSN was given", "give it with --dsn-from")
        data = dsn.encode()
        done = Done(does=operation.does, resource=name, key=key(operation))
        sent = False
        for attempt in range(TRIES):
            there = self._session.must("GetSecret", name, lambda timeout: self._writers.secret(name, timeout))
            note = read_note(there, SecretNote)
            newest = self._newest(name)
            planned = note.version if note is not None and note.run == self._run else 0
            number = _number(newest) if newest is not None else 0
            holds = self._holds(newest, name, data) if newest is not None else False
            if planned and number >= planned and holds is not False:
                return replace(done, version=planned)
            if holds:
                return replace(done, version=number if sent else 0)
            self._plan(there, version=number + 1)
            made = self._session.ask(
                "AddSecretVersion",
                name,
                lambda timeout: self._writers.add_version(name, data, timeout),
                again=False,
            )
            if not isinstance(made, Failure):
                if not made.client_specified_payload_checksum:
                    text = f"Secret Manager did not compare the checksum of {made.name}: what it holds is not certain"
                    raise FixFailed(text, f"gcloud secrets versions disable {_number(made)} --secret={_id(name)}")
                return replace(done, version=_number(made))
            sent = sent or made.code in UNSURE
            if made.code not in PASSING or attempt == TRIES - 1:
                if not sent:
                    self._forget(name, version=True)
                raise self._session.error(made)
            self._session.pause(attempt)
        raise AssertionError

    def _newest(self, name: str) -> Any:
        """The version that was added last, or None; who may not see it is told so."""
        full = f"{name}/versions/latest"
        found = self._session.ask("GetSecretVersion", full, lambda timeout: self._writers.version(full, timeout))
        if isinstance(found, Failure):
            if found.code == "NOT_FOUND":
                return None
            raise self._session.error(found)
        return found

    def _holds(self, version: Any, name: str, data: bytes) -> bool | None:
        """Whether a version can be read and holds ``data``; None where that may not be looked at."""
        if version.state != _ENABLED:
            return False
        full = f"{name}/versions/{_number(version)}"
        payload = self._session.ask("AccessSecretVersion", full, lambda timeout: self._writers.payload(full, timeout))
        return None if isinstance(payload, Failure) else bool(payload.data == data)

    def disable(self, done: Done) -> str:
        """Disable the version that this run added; it is never destroyed.

        ``latest`` is the version that was added last, whatever its state, so whatever asks for it would not start any
        more (https://cloud.google.com/secret-manager/docs/access-secret-version): where it could be read before, what it
        led to is added once more first. Where that may not be read, the version stays as it is.
        """
        if not done.version:
            return f"no version was added to {done.resource}"
        full = f"{done.resource}/versions/{done.version}"
        found = self._session.ask("GetSecretVersion", full, lambda timeout: self._writers.version(full, timeout))
        if isinstance(found, Failure):
            if found.code == "NOT_FOUND":
                return f"{full} is not there any more"
            raise self._session.error(found)
        again = 0
        if found.state == _ENABLED and self._is_relied_on(done):
            again = self._put_back(done)
            if not again:
                self._forget(done.resource)
                return f"{full} stays enabled: {_how_to_go_back(done)}"
        if found.state == _ENABLED:
            self._session.must(
                "DisableSecretVersion", full, lambda timeout: self._writers.disable_version(full, timeout)
            )
        self._forget(done.resource)
        newest = self._newest(done.resource)
        told = f"{full} is disabled"
        if again:
            told += (
                f"; version {again} holds what version {done.version - 1} does, so that latest leads to it as before"
            )
        elif newest is not None and _number(newest) == done.version:
            told += "; it is the newest, and nothing falls back to an older one"
        return told

    def _put_back(self, done: Done) -> int:
        """Add what ``latest`` led to before as the newest version; its number, 0 where that is not allowed.

        The payload goes from Secret Manager to Secret Manager and is kept nowhere.
        """
        name = done.resource
        earlier = f"{name}/versions/{done.version - 1}"
        payload = self._session.ask(
            "AccessSecretVersion", earlier, lambda timeout: self._writers.payload(earlier, timeout)
        )
        if isinstance(payload, Failure):
            return 0
        data = payload.data
        for attempt in range(TRIES):
            made = self._session.ask(
                "AddSecretVersion",
                name,
                lambda timeout: self._writers.add_version(name, data, timeout),
                again=False,
            )
            if not isinstance(made, Failure):
                return _number(made)
            newest = self._newest(name)  # the answer may have been lost, and not the version
            if newest is not None and _number(newest) > done.version:
                return _number(newest)
            if made.code not in PASSING:
                return 0
            self._session.pause(attempt)
        return 0

    def _is_relied_on(self, done: Done) -> bool:
        """Whether what asks for ``latest`` got a version before, and gets this one now."""
        newest = self._newest(done.resource)
        if done.version == 1 or newest is None or _number(newest) != done.version:
            return False
        earlier = f"{done.resource}/versions/{done.version - 1}"
        found = self._session.ask("GetSecretVersion", earlier, lambda timeout: self._writers.version(earlier, timeout))
        if isinstance(found, Failure):
            if found.code == "NOT_FOUND":
                return False
            raise self._session.error(found)
        return bool(found.state == _ENABLED)

    # --- a member ----------------------------------------------------------------------------------

    def grant(self, operation: Operation) -> Done:
        """Let a member read the payloads of a secret, under no condition; other bindings stay as they are."""
        name, member = operation.resource, operation.member
        done = Done(does=operation.does, resource=name, key=key(operation), member=member)
        sent = False
        for attempt in range(TRIES):
            policy = self._policy(name)
            if _binding(policy, member) is not None:
                there = self._secret(name)
                note = read_note(there, SecretNote) if not isinstance(there, Failure) else None
                planned = note is not None and note.run == self._run and member in note.members
                return replace(done, granted=sent or planned)
            there = self._secret(name)
            if not isinstance(there, Failure):
                self._plan(there, member=member)
            free = next(
                (item for item in policy.bindings if item.role == ROLE and not item.HasField("condition")), None
            )
            (free if free is not None else policy.bindings.add(role=ROLE)).members.append(member)
            failure = self._set(name, policy)
            if failure is None:
                return replace(done, granted=True)
            sent = sent or failure.code in UNSURE
            if failure.code not in PASSING or attempt == TRIES - 1:
                raise self._session.error(failure)
            self._session.pause(attempt)
        raise AssertionError

    def revoke(self, done: Done) -> str:
        """Take a member's role back that this run granted."""
        name, member = done.resource, done.member
        if not done.granted:
            return f"{member} keeps {ROLE} on {name}: this run did not grant it"
        for attempt in range(TRIES):
            policy = self._policy(name)
            binding = _binding(policy, member)
            if binding is None:
                return f"{member} does not have {ROLE} on {name} any more"
            binding.members.remove(member)
            if not binding.members:
                policy.bindings.remove(binding)
            failure = self._set(name, policy)
            if failure is None:
                self._forget(name)
                return f"{member} does not have {ROLE} on {name} any more"
            if failure.code not in PASSING or attempt == TRIES - 1:
                raise self._session.error(failure)
            self._session.pause(attempt)
        raise AssertionError

    def _policy(self, name: str) -> Any:
        return self._session.must("SecretPolicy", name, lambda timeout: self._writers.secret_policy(name, timeout))

    def _set(self, name: str, policy: Any) -> Failure | None:
        answer = self._session.ask(
            "SetSecretPolicy",
            name,
            lambda timeout: self._writers.set_secret_policy(name, policy, timeout),
            again=False,
        )
        return answer if isinstance(answer, Failure) else None

    # --- notes -------------------------------------------------------------------------------------

    def _secret(self, name: str) -> Any:
        return self._session.ask("GetSecret", name, lambda timeout: self._writers.secret(name, timeout))

    def _plan(self, secret: Any, *, version: int = 0, member: str = "") -> None:
        """Note on the secret what comes next; where that may not be written, a run that is killed forgets it."""
        note = read_note(secret, SecretNote)
        if note is None or note.run != self._run:
            note = SecretNote(run=self._run)
        members = tuple(dict.fromkeys((*note.members, member))) if member else note.members
        wanted = replace(note, version=version or note.version, members=members)
        if wanted != note:
            write_note(secret, wanted)
            self._annotate(secret)

    def _forget(self, name: str, *, version: bool = False) -> None:
        """Take the note away, of a created secret what it says of members; ``version``: only what it says of that."""
        secret = self._secret(name)
        note = read_note(secret, SecretNote) if not isinstance(secret, Failure) else None
        if note is None or note.run != self._run:
            return
        rest = replace(note, version=0) if version else replace(note, members=())
        if version or note.created:
            write_note(secret, rest)
        else:
            write_note(secret, None)
        self._annotate(secret)

    def _annotate(self, secret: Any) -> None:
        self._session.ask(
            "UpdateSecret", secret.name, lambda timeout: self._writers.annotate_secret(secret, timeout), again=False
        )

    # --- what is so now ----------------------------------------------------------------------------

    def found(self, operation: Operation) -> Done | None:
        """What this run did of an operation, by its note; None if it changed nothing, or could leave no note."""
        name = operation.resource
        secret = self._secret(name)
        if isinstance(secret, Failure):
            if secret.code == "NOT_FOUND":
                return None
            raise self._session.error(secret)
        note = read_note(secret, SecretNote)
        if note is None or note.run != self._run:
            return None
        done = Done(does=operation.does, resource=name, key=key(operation))
        if operation.does == "create-secret":
            return replace(done, created=True) if note.created else None
        if operation.does == "add-version":
            newest = self._newest(name) if note.version else None
            there = newest is not None and _number(newest) >= note.version
            return replace(done, version=note.version) if there else None
        granted = operation.member in note.members and _binding(self._policy(name), operation.member) is not None
        return replace(done, member=operation.member, granted=True) if granted else None

    def holds(self, operation: Operation) -> bool:
        """Whether what an operation does is so."""
        name = operation.resource
        if operation.does == "grant":
            return _binding(self._policy(name), operation.member) is not None
        there = self._secret(name)
        if isinstance(there, Failure):
            if there.code == "NOT_FOUND":
                return False
            raise self._session.error(there)
        if operation.does == "create-secret":
            return True
        newest = self._newest(name)
        if newest is None or newest.state != _ENABLED:
            return False
        full = f"{name}/versions/{_number(newest)}"
        payload = self._session.ask("AccessSecretVersion", full, lambda timeout: self._writers.payload(full, timeout))
        return isinstance(payload, Failure) or payloads.judge(payload.data).valid


class _Annotated:
    """Something with annotations, before there is a message."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}


def _number(version: Any) -> int:
    return int(version.name.rpartition("/")[2])


def _id(secret: str) -> str:
    return secret.rpartition("/")[2]


def _how_to_go_back(done: Done) -> str:
    """Why a version stays that cannot be put back, and how a person makes the one before it the newest again."""
    where = f"--project={done.resource.split('/')[1]}"
    name, earlier = _id(done.resource), done.version - 1
    return (
        "latest is the newest version whatever its state, so without it nothing that asks for latest could start, and the "
        "version before it may not be read. "
        f"Version {earlier} is still there; to have it in effect: gcloud secrets versions access {earlier} "
        f"--secret={name} {where} | gcloud secrets versions add {name} {where} --data-file=- && "
        f"gcloud secrets versions disable {done.version} --secret={name} {where}"
    )


def _binding(policy: Any, member: str) -> Any:
    """The binding that lets a member read payloads, under no condition."""
    found = (item for item in policy.bindings if item.role == ROLE and not item.HasField("condition"))
    return next((item for item in found if member in item.members), None)
