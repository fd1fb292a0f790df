"""What can go wrong between this client and SkyPortal, and what is said of it.

::

    SkyPortalError            one sentence for the user
    ├── TokenRefused          401: a new token is needed, nothing is wrong with the alerts
    ├── Refused               400, 403, 404 …: this request will not be accepted as it is
    │   └── RightMissing      403: nor any other of its kind, the owner of the token lacks a right
    ├── PremisesMissing       a stream, group, filter, instrument or taxonomy cannot be had
    ├── WrongAddress          what answers there is not the API of SkyPortal
    └── Stopped               told to stop while there was still something to do
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .poster import Outcome


@dataclass(frozen=True)
class Refusal:
    """Why an alert was not accepted.

    Parameters
    ----------
    request : str
        Method and path, ``POST /api/candidates``; empty where nothing was sent.
    status : int
        HTTP status; 0 where nothing was sent.
    answer : str
        What SkyPortal said, or what is wrong with the alert. It contains no token.
    """

    request: str
    status: int
    answer: str

    def __str__(self) -> str:
        return f"{self.request}: {self.status} {self.answer}" if self.request else self.answer


class SkyPortalError(Exception):
    """Base of all deliberate errors; its text is one sentence for the user."""


class TokenRefused(SkyPortalError):
    """SkyPortal does not know the token."""


class WrongAddress(SkyPortalError):
    """The address leads elsewhere."""


class PremisesMissing(SkyPortalError):
    """Something that posts need is not there and cannot be made."""


class Refused(SkyPortalError):
    """SkyPortal has answered that it will not do this.

    Parameters
    ----------
    refusal : Refusal
        The request and the answer.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class RightMissing(Refused):
    """The owner of the token lacks a right; nothing is wrong with the alerts.

    Parameters
    ----------
    refusal : Refusal
        The request and the answer.
    right : str
        Name of the right in SkyPortal.
    url : str
        Address of SkyPortal, as it may be shown.
    """

    def __init__(self, refusal: Refusal, right: str, url: str) -> None:
        super().__init__(refusal)
        self.right, self.url = right, url

    def __str__(self) -> str:
        return (
            f"SkyPortal at {self.url} refuses {self.refusal.request}, as the owner of the token lacks the right "
            f"“{self.right}”: ask its administrator for it."
        )


class Stopped(SkyPortalError):
    """The client was told to stop.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Those of the batch that are settled. All others are to be posted again after the next start.
    """

    def __init__(self, outcomes: Sequence[Outcome] = ()) -> None:
        super().__init__("told to stop")
        self.outcomes = list(outcomes)
