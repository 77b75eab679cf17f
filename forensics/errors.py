"""The one exception tree.

An error that reaches the user is an :class:`IrError`: one sentence that says what happened, a hint that says what to
do, and the exit code of the command. Per-item failures are data (see :class:`forensics.model.Outcome`), not exceptions.
"""

from __future__ import annotations


class IrError(Exception):
    """A failure the user can act on; never shown as a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep *message* (one sentence, without a final full stop) and *hint* (what to do now)."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(IrError):
    """The command was asked for something that cannot be: exit code 2."""

    exit_code = 2


class ContainerNotFoundError(UsageError):
    """No container has this name or id."""


class AmbiguousContainerError(UsageError):
    """An id prefix fits more than one container."""


class CaseExistsError(UsageError):
    """A new case was asked for where something already is."""


class RuleError(UsageError):
    """A detection rule does not compile."""


class PlaybookError(UsageError):
    """A playbook or scenario does not validate."""


class VerificationError(IrError):
    """Evidence is not what was recorded: exit code 3."""

    exit_code = 3


class EngineError(IrError):
    """The engine or the host refused or failed: exit code 4."""

    exit_code = 4


class EngineUnavailableError(EngineError):
    """No engine answers at the configured address, or its socket may not be opened."""


class RefusedError(IrError):
    """Doing it would be unsafe, or approval was denied: exit code 5."""

    exit_code = 5


class StorageError(IrError):
    """Evidence could not be written (full disk, read-only medium, permissions)."""


class CaseError(IrError):
    """A case cannot be read."""


class NotACaseError(CaseError):
    """A case was asked for where there is none: exit code 2."""

    exit_code = 2


class ArchiveError(IrError):
    """An image or archive that cannot be read at all; what could be read is in the findings."""
