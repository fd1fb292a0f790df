"""What a user's function said of a batch, or why it says nothing any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fink_broker.alert.lightcurve import Mask

#: raised: it failed on some alerts. slow: it took too long. crashed: it brought its process down. waited: others had
#: used up the time.
Cause = Literal["", "raised", "slow", "crashed", "waited"]


@dataclass(frozen=True)
class Loss:
    """Why a function is not run any more: of what kind the failure was, and what happened."""

    cause: Cause
    reason: str


@dataclass(frozen=True)
class Answer:
    """What a function said of a batch.

    Parameters
    ----------
    name : str
        The filter.
    passed, failed : numpy.ndarray of bool
        Which alerts pass, and which it could not judge.
    seconds : float
        Time it took.
    cause : {"", "raised", "slow", "crashed", "waited"}
        What kind of failure it was.
    error : str
        What happened, empty if nothing did.
    """

    name: str
    passed: Mask
    failed: Mask
    seconds: float
    cause: Cause = ""
    error: str = ""
