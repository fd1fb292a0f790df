"""One fit in its own process: with limits, telling how far it is, and leaving its result."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from fink_broker.portal.web.fits.job_folder import FitError, JobFolder, Order
from fink_broker.portal.web.fits.kinds import Fit

#: memory of a fit, in bytes of address space
MOST_MEMORY = 2 << 30
#: largest file it may write, in bytes: a skymap is unpacked into one
_MOST_FILE = 512 << 20
#: seconds between two notes of how far it is
_REPORT_SECONDS = 0.1
#: Pages are served first.
_NICE = 5
_PR_SET_PDEATHSIG = 1


def run_fit(files: JobFolder, order: Order, fits: Mapping[str, Fit], seconds: float) -> NoReturn:
    """Do a fit in this process, which was forked for it, and end the process."""
    status = 1
    try:
        _limit(seconds)
        files.write(order.job_id, "end", {**_ended(files, order, fits), "kind": order.kind})
        files.forget_order(order.job_id)
        status = 0
    except BaseException:  # the process ends here, whatever it is: it must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(status)


def _ended(files: JobFolder, order: Order, fits: Mapping[str, Fit]) -> dict[str, Any]:
    try:
        result = fits[order.kind](order.inputs, _Reporting(files, order.job_id))
    except FitError as error:
        return {"state": "failed", "words": str(error)}
    except MemoryError:
        return {"state": "failed", "words": "The fit needs too much memory: take fewer terms or a narrower range."}
    except Exception:
        traceback.print_exc()
        return {"state": "failed", "words": "The fitting procedure could not converge."}
    return {"state": "done", "result": dict(result)}


class _Reporting:
    """Notes how far a fit is, not too often."""

    def __init__(self, files: JobFolder, job_id: str) -> None:
        self._files, self._job_id, self._next = files, job_id, 0.0

    def __call__(self, words: str, share: float) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _REPORT_SECONDS
            self._files.write(self._job_id, "now", {"state": "running", "words": words, "share": min(1.0, share)})


def _limit(seconds: float) -> None:
    """Bound what the process may take, and let it die with its parent."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.nice(_NICE)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    processor = int(seconds) + 2
    for limit, most in (
        (resource.RLIMIT_AS, MOST_MEMORY), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _MOST_FILE),
        (resource.RLIMIT_CPU, processor),
    ):  # fmt: skip
        resource.setrlimit(limit, (most, most))
    # libraries print as they please
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
