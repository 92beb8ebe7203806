"""What the server and the driver say, as Pulpo's errors. Nothing of the address but hosts is ever repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bson.errors import BSONError
from pymongo.errors import ConnectionFailure, DocumentTooLarge, OperationFailure, PyMongoError

from pulpo.errors import PulpoError
from pulpo.store.port import NoRoom

DUPLICATE = 11000
_REFUSED = {13, 18}  # Unauthorized, AuthenticationFailed
_TOO_LARGE = {10334, 17280, 17419, 17420}  # BSONObjectTooLarge and its kin
_DISK_FULL = {14031}  # OutOfDiskSpace
_INVALID = 121  # DocumentValidationFailure
_HISTORY = {
    136,
    260,
    280,
    286,
}  # CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost
_CONFLICT = 112  # WriteConflict


DRIVER = PyMongoError, BSONError
"""What the driver raises."""


def problem(error: PyMongoError | BSONError) -> PulpoError:
    """The error that callers get."""
    code = error.code if isinstance(error, OperationFailure) else None
    if code in _TOO_LARGE or isinstance(error, DocumentTooLarge):
        return NoRoom("PULPO505", "a document is larger than MongoDB takes (16 MB); nothing of this was kept")
    if code in _DISK_FULL:
        return NoRoom(
            "PULPO505",
            "there is no room left to write; nothing of this was kept",
            hint="free space on the database's disk; no restart is needed",
        )
    if code in _REFUSED:
        return PulpoError(
            "PULPO507",
            "MongoDB does not let this user in, or not do this",
            hint="check user, password and authSource of database.url, and the user's roles",
        )
    if code == _INVALID:
        return PulpoError(
            "PULPO508",
            "MongoDB refused a document that does not fit the collection as it is declared now",
            hint="another process has brought the database up to date with a newer declaration; restart this one",
        )
    if isinstance(error, ConnectionFailure):
        return PulpoError("PULPO507", f"MongoDB cannot be reached: {_brief(error)}")
    return PulpoError("PULPO507", f"MongoDB could not do this: {_brief(error)}")


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises inside as Pulpo's errors."""
    try:
        yield
    except DRIVER as error:
        raise problem(error) from error


def is_conflict(error: PyMongoError) -> bool:
    """Whether another transaction was at the same document."""
    return isinstance(error, OperationFailure) and error.code == _CONFLICT


def is_expired(error: PyMongoError) -> bool:
    """Whether the log that events are read from no longer reaches back far enough."""
    return isinstance(error, OperationFailure) and error.code in _HISTORY


def _brief(error: Exception) -> str:
    """The first line, without the description of every server that the driver adds."""
    return str(error).partition(", Timeout:")[0].partition("\n")[0][:300]
