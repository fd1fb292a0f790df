"""API keys and quotas: who may ask how often.

Keys are kept as SHA-256 digests in a TOML file; the file gives nobody a key, and a key is shown once, when it is made::

    [[key]]
    name = "skyportal"
    sha256 = "9f86d0…"
    per_minute = 600
    per_day = 100000

The file is read anew when it changes. A key is sent as ``Authorization: Bearer <key>`` or ``X-API-Key: <key>``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import secrets
import threading
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fink_broker.errors import ConfigError
from fink_broker.portal.route import RequestError

log = logging.getLogger(__name__)

#: how often the keys file is looked at, in seconds
LOOK_SECONDS = 1.0
#: clients whose use is remembered; the one that asked longest ago is forgotten first
MOST_CLIENTS = 10_000
#: the name of whoever has the right to write
WRITER = "writer"
_DAY = 86_400.0


class Key(BaseModel):
    """An entry of the keys file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w .@-]{1,64}$", description="whose key it is; shown in the access log")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="digest of the key", repr=False)
    per_minute: int = Field(0, ge=0, description="requests a minute; 0: no limit")
    per_day: int = Field(0, ge=0, description="requests a day; 0: no limit")


def make_key() -> tuple[str, str]:
    """Return a fresh key of 256 random bits, and its SHA-256 digest in hexadecimal."""
    key = f"fink_{secrets.token_urlsafe(32)}"
    return key, digest_of(key)


def digest_of(key: str) -> str:
    """Return the SHA-256 digest of a key, in hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def entry_of(name: str, digest: str, per_minute: int = 600, per_day: int = 100_000) -> str:
    """Return the lines of the keys file for a key.

    Raises
    ------
    ConfigError
        If the name or a quota cannot be.
    """
    try:
        key = Key(name=name, sha256=digest, per_minute=per_minute, per_day=per_day)
    except ValidationError as error:
        raise ConfigError(
            f"The key cannot be made: {_first_fault(error)}.", "Names are letters, digits, . @ -"
        ) from None
    return (
        f'[[key]]\nname = "{key.name}"\nsha256 = "{key.sha256}"\n'
        f"per_minute = {key.per_minute}\nper_day = {key.per_day}\n"
    )


def read_keys(path: Path) -> dict[str, Key]:
    """Return the keys of a file by their digests.

    Raises
    ------
    ConfigError
        If the file cannot be read, or says something else than keys.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = content.pop("key", [])
        if content or not isinstance(entries, list):
            raise ConfigError(f"The keys file {path} holds something else than [[key]].", _HOW_TO_MEND)
        keys = [Key.model_validate(entry) for entry in entries]
    except ValidationError as error:
        raise ConfigError(f"The keys file {path} is wrong: {_first_fault(error)}.", _HOW_TO_MEND) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"The keys file {path} cannot be read: {error}.", _HOW_TO_MEND) from None
    return {key.sha256: key for key in keys}


_HOW_TO_MEND = "Mend it (`fink api key NAME` prints an entry), or leave api.keys_file empty."


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


class Bucket:
    """Leave to ask, which is used up by requests and comes back with time.

    Parameters
    ----------
    most : int
        Requests that may come at once.
    seconds : float
        Time in which all leave comes back.
    clock : callable
        Seconds, for tests.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most, self._rate, self._clock = float(most), most / seconds, clock
        self._left, self._at = float(most), clock()

    def wait(self, cost: float) -> float:
        """Return the seconds until a request of this cost may come; 0 if now."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        lacking = min(cost, self._most) - self._left
        return max(0.0, lacking / self._rate)

    def take(self, cost: float) -> None:
        """Use leave up."""
        self._left -= min(cost, self._most)


class Quotas:
    """Who asks, and whether they may.

    Parameters
    ----------
    keys_file : Path, optional
        File of keys. Where there is one and anonymous clients have no quota of their own, a key is needed.
    anonymous_per_minute : int
        Requests a minute of an address without a key; 0: no limit.
    clock : callable
        Seconds that only grow, for tests.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """

    def __init__(
        self, keys_file: Path | None, anonymous_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._anonymous, self._clock = keys_file, anonymous_per_minute, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[Bucket, ...]] = OrderedDict()
        self._keys = read_keys(keys_file) if keys_file else {}
        self._stamp, self._looked = self._stamp_now(), clock()

    def admit(self, headers: Mapping[str, str], address: str, cost: int, *, write_token: str = "") -> str:
        """Return the name under which a request is let through.

        Parameters
        ----------
        headers : mapping
            Headers of the request by their names in lower case.
        address : str
            Address it comes from.
        cost : int
            How much of the quota it takes.
        write_token : str
            The right to write. Whoever sends it, as a key or as ``X-Fink-Token``, needs no key.

        Raises
        ------
        RequestError
            401 if a key is unknown or one is needed, 429 with the time to wait if the quota is used up.
        """
        key = given_key(headers)
        if write_token and _is_same(key or headers.get("x-fink-token", ""), write_token):
            return WRITER
        with self._lock:
            self._look_at_file()
            if key and self._path:
                return self._admit_key(self._keys.get(digest_of(key)), cost)
            if self._path and not self._anonymous:
                raise RequestError("This API asks for a key: send it as Authorization: Bearer KEY.\n", status=401)
            if self._anonymous:
                client = network_of(address)
                self._spend(f"address {client}", cost, self._anonymous, 0)
            return "anonymous"

    def _admit_key(self, key: Key | None, cost: int) -> str:
        if key is None:
            raise RequestError(
                "The API key is not known. Ask the operators for another, or leave it out.\n", status=401
            )
        self._spend(f"key {key.sha256} {key.per_minute} {key.per_day}", cost, key.per_minute, key.per_day)
        return key.name

    def _spend(self, client: str, cost: int, per_minute: int, per_day: int) -> None:
        buckets = self._buckets.get(client)
        if buckets is None:
            spans = ((per_minute, 60.0), (per_day, _DAY))
            buckets = tuple(Bucket(most, seconds, self._clock) for most, seconds in spans if most)
            self._buckets[client] = buckets
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(client)
        wait = max((bucket.wait(cost) for bucket in buckets), default=0.0)
        if wait > 0.0:
            seconds = math.ceil(wait)
            raise RequestError(
                f"The quota is used up. Ask again in {seconds} s.\n", status=429, retry_after=max(1, seconds)
            )
        for bucket in buckets:
            bucket.take(cost)

    def _look_at_file(self) -> None:
        """Read the keys anew if the file changed; one that became unreadable changes nothing."""
        if self._path is None or self._clock() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._clock()
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except ConfigError as error:
            log.warning("%s The keys read before stay in force.", error.message)

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size) if status else None


def _is_same(given: str, secret: str) -> bool:
    """Compare with a secret in a time that does not tell how much of it is right."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def given_key(headers: Mapping[str, str]) -> str:
    """Return the key in the headers of a request, or an empty text."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip()


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
