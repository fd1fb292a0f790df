"""Fits for tests of what runs fits: quick, endless, greedy, and faulty ones."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.kinds import Report

EXAMPLES = {
    name: f"fit_examples:{name}"
    for name in ("double", "count", "spin", "devour", "refuse", "stumble", "die", "infinite")
}


def double(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return twice the number, and the process it was made in."""
    return {"number": 2 * inputs["number"], "pid": os.getpid()}


def count(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Take some seconds, and tell how far it is."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < inputs["seconds"]:
        report("Counting", passed / inputs["seconds"])
        time.sleep(0.02)
    return {}


def spin(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Compute for ever."""
    while True:
        pass


def devour(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Take more memory than there is."""
    return {"bytes": len(bytearray(8 << 30))}


def refuse(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Say why not."""
    raise FitError("These numbers are of no use.")


def stumble(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Raise what nobody thought of."""
    raise ZeroDivisionError


def die(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def infinite(inputs: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return what JSON does not have."""
    return {"number": float("inf")}
