"""How work on a transfer ends before its time."""

from __future__ import annotations


class Stopped(Exception):
    """The user wants to stop; what is done stays done."""
