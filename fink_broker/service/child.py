"""Tie the life of a child process to ours."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
# loaded before any fork: loading a library between fork and exec may deadlock
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PARENT = os.getpid()


def die_with_parent() -> None:
    """Ask the kernel to end this process in order when its parent has gone; for ``preexec_fn``.

    Where the kernel knows no such wish (not Linux) the next start ends what a killed launcher left behind.
    """
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1 and _PARENT != 1:  # the parent went before the wish was made
            os._exit(1)
