"""Who asks, so that nobody takes more than his share."""

from __future__ import annotations

import hashlib
import ipaddress

from flask import Request


def visitor_of(request: Request) -> str:
    """Return a digest of a visitor's address; behind a proxy on this machine it is the one the proxy adds."""
    address = request.remote_addr or ""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    if forwarded and _is_here(address):
        address = forwarded
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
