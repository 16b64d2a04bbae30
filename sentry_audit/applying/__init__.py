"""Everything that writes to the audited repository: consent, the journal, atomic changes, undo.

``apply`` makes the changes of a plan or leaves everything as it was; ``resume`` and ``undo`` end what a killed run began.
"""

from sentry_audit.applying.contract import Changer, Outcome, Reporter, Taken
from sentry_audit.applying.running import apply, resume, unfinished
from sentry_audit.applying.undoing import known_runs, undo, undoable

__all__ = ["Changer", "Outcome", "Reporter", "Taken", "apply", "known_runs", "resume", "undo", "undoable", "unfinished"]
