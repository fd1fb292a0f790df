"""Every error the broker raises on purpose.

::

    FinkError                  one sentence for the user, and the way out
    ├── ConfigError            a key, its line, and what was expected       exit 2
    ├── UsageError             a command that cannot be carried out         exit 1
    ├── ServiceError           a service that cannot start, stop or go on   exit 3
    │   ├── JavaMissing
    │   └── ArchiveAway        HBase does not answer
    ├── DataError              a file or packet that cannot be read         exit 4
    └── CountsDoNotClose       in ≠ out + set aside: never committed        exit 5
"""

from __future__ import annotations


class FinkError(Exception):
    """Base of all deliberate errors.

    Parameters
    ----------
    message : str
        One sentence that says what is wrong.
    hint : str, optional
        One sentence that says how to mend it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(FinkError):
    """A configuration key is unknown, of the wrong type, or out of range."""

    exit_code = 2


class UsageError(FinkError):
    """The command line asks for something that does not exist or cannot be done."""

    exit_code = 1


class ServiceError(FinkError):
    """A service cannot be started, stopped, or go on."""

    exit_code = 3


class JavaMissing(ServiceError):
    """No usable Java was found."""


class ArchiveAway(ServiceError):
    """HBase does not answer, or went away while it did: worth asking again."""


class DataError(FinkError):
    """A file or a packet cannot be read."""

    exit_code = 4


class CountsDoNotClose(FinkError):
    """A batch has fewer or more alerts after a stage than before it: nothing is committed."""

    exit_code = 5
