"""Settings of the module, read whenever they are needed: where the broker is, and the key to its API.

A setting is looked for in this order: a Django setting (``FINK_API_URL``), ``BROKERS["Fink"]`` and
``DATA_SERVICES["Fink"]`` (``api_url``), an environment variable of the Django setting's name, the default.
"""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

#: The public broker: TOMs without settings go on asking it.
PUBLIC_API_URL = "https://api.fink-portal.org"
PUBLIC_PORTAL_URL = "https://fink-portal.org"
#: Name of the broker in settings and in the database of a TOM.
NAME = "Fink"
#: The part of addresses of the API that is not in the setting, and is taken off where somebody wrote it there.
API_PATH = "/api/v1"


def api_url() -> str:
    """Return the address of the API, without ``/api/v1`` and without a slash at its end.

    Raises
    ------
    ImproperlyConfigured
        If it is no address of a web server.
    """
    url = _setting("FINK_API_URL", "api_url", PUBLIC_API_URL).rstrip("/").removesuffix(API_PATH)
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ImproperlyConfigured("FINK_API_URL must be an address such as https://api.fink-portal.org.")
    return url


def portal_url() -> str:
    """Return the address of the portal, without a slash at its end."""
    return _setting("FINK_PORTAL_URL", "portal_url", PUBLIC_PORTAL_URL).rstrip("/")


def api_key() -> str:
    """Return the key of the API, empty if there is none.

    Raises
    ------
    ImproperlyConfigured
        If it has characters that a key cannot have. The sentence does not show it.
    """
    key = _setting("FINK_API_KEY", "api_key", "")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ImproperlyConfigured("FINK_API_KEY has characters that no key has, such as blanks or accents.")
    return key


def object_link(object_id: str) -> str:
    """Return the address of an object's page in the portal."""
    return f"{portal_url()}/{quote(object_id, safe='')}"


def without_login(url: str) -> str:
    """Return an address as it can be shown: without the user and password that may be in it, and without a query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "another address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _setting(name: str, key: str, default: str) -> str:
    candidates = [getattr(settings, name, None)]
    for group in ("BROKERS", "DATA_SERVICES"):
        entry = (getattr(settings, group, None) or {}).get(NAME)
        candidates.append(entry.get(key) if isinstance(entry, dict) else None)
    candidates.append(os.environ.get(name))
    return next((text for text in (str(value or "").strip() for value in candidates) if text), default)
