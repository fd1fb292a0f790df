"""A night of synthetic alerts, in the order in which ZTF would send them."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from fink_broker.errors import UsageError
from fink_broker.simulate.sky.exposures import Exposure, clear_nights, night_start, past_exposures, tonight
from fink_broker.simulate.sky.field_sky import FieldSky
from fink_broker.simulate.sky.models import DEFAULT_WEIGHTS
from fink_broker.simulate.sky.packets import Packet, build_packet
from fink_broker.simulate.sky.truth import Truth

DEFAULT_NIGHT = "20240901"
#: Alerts per exposure of a small night; a larger one has as many as it takes
_FEWEST_PER_EXPOSURE = 8
_LETTERS = string.ascii_lowercase


def synthetic_packets(
    n: int, seed: int, *, night: str | None = None, weights: Mapping[str, float] | None = None
) -> Iterator[Packet]:
    """Yield synthetic alert packets; see `synthetic_alerts`, of which these are the first halves."""
    for packet, _ in synthetic_alerts(n, seed, night=night, weights=weights):
        yield packet


def synthetic_alerts(
    n: int, seed: int, *, night: str | None = None, weights: Mapping[str, float] | None = None
) -> Iterator[tuple[Packet, Truth]]:
    """Yield alert packets of one observing night, ordered by time, each with its truth.

    The same arguments give the same alerts. A smaller `n` gives the beginning of the same night, as long as neither
    exceeds about 7,500 alerts; above, every exposure has more of them, up to the whole night.

    Parameters
    ----------
    n : int
        Number of alerts.
    seed : int
        Seed of the sky, 0 or more.
    night : str, optional
        Night as YYYYMMDD (UTC); by default 20240901.
    weights : mapping of str to float, optional
        Relative frequency of classes among the alerts; by default `DEFAULT_WEIGHTS`. Classes left out do not occur.

    Yields
    ------
    tuple of dict and Truth
        A packet valid against ZTF alert schema 4.02, and what it is.

    Raises
    ------
    UsageError
        If n or seed is negative, the night is no date, or weights name no known class.
    """
    if n < 0 or seed < 0:
        raise UsageError("The number of synthetic alerts and their seed cannot be negative.")
    night = night or DEFAULT_NIGHT
    start = night_start(night)
    kinds, shares = _checked(DEFAULT_WEIGHTS if weights is None else weights)
    return _alerts(n, seed, night, start, kinds, shares)


def _checked(weights: Mapping[str, float]) -> tuple[list[str], list[float]]:
    """Return classes and cumulated shares."""
    unknown = sorted(set(weights) - set(DEFAULT_WEIGHTS))
    if unknown:
        raise UsageError(
            f"'{unknown[0]}' is no class of the synthetic sky.", f"Classes are: {', '.join(DEFAULT_WEIGHTS)}."
        )
    total = sum(weights.values())
    if total <= 0 or not math.isfinite(total) or min(weights.values()) < 0:
        raise UsageError("The weights of the synthetic sky must be numbers from 0, at least one above it.")
    return list(weights), list(itertools.accumulate(w / total for w in weights.values()))


def _alerts(
    n: int, seed: int, night: str, start: float, kinds: list[str], shares: list[float]
) -> Iterator[tuple[Packet, Truth]]:
    """Yield the alerts, exposure by exposure."""
    exposures = list(tonight(seed, night))
    per_exposure = max(_FEWEST_PER_EXPOSURE, math.ceil(n / (len(exposures) - 1)))
    last_visit = {exposure.field.number: index for index, exposure in enumerate(exposures)}
    clear = clear_nights(seed, start)
    new_name = _namer(seed, night)
    fields: dict[int, FieldSky] = {}
    sent = 0
    for index, exposure in enumerate(exposures):
        if sent >= n:
            return
        rng = np.random.default_rng([seed, 14, int(start), index])
        number = exposure.field.number
        if number not in fields:
            fields[number] = _open_field(rng, seed, start, exposure, clear, per_exposure, new_name)
        sky = fields[number]
        sky.expose(exposure)
        goal = round((index + 1 + 0.3 * (rng.random() - 0.5)) * per_exposure)
        if index == len(exposures) - 1:
            goal = n
        for alert in itertools.islice(_exposure_alerts(rng, sky, kinds, shares, goal - sent), n - sent):
            yield alert
            sent += 1
        if last_visit[number] == index:
            del fields[number]


def _open_field(
    rng: np.random.Generator,
    seed: int,
    start: float,
    exposure: Exposure,
    clear: list[bool],
    per_exposure: int,
    new_name: Callable[[], str],
) -> FieldSky:
    """Return a field at its first visit of the night; few alerts fall into few readout channels."""
    size = min(64, max(6, per_exposure // 2))
    channels = sorted(rng.permutation(64)[:size].tolist())
    return FieldSky(past_exposures(seed, start, exposure.jd, exposure.field, clear), channels, new_name)


def _exposure_alerts(
    rng: np.random.Generator, sky: FieldSky, kinds: list[str], shares: list[float], count: int
) -> Iterator[tuple[Packet, Truth]]:
    """Yield alerts of the latest exposure of a field; a class that cannot be seen in it gives way to another."""
    made = 0
    while made < count:
        kind = kinds[min(int(np.searchsorted(shares, rng.random(), side="right")), len(kinds) - 1)]
        found = sky.detect(rng, kind)
        if found is None:
            continue
        made += 1
        packet = build_packet(rng, found, sky.epochs)
        yield packet, Truth(packet["candid"], found.name, found.source.kind, dict(found.source.parameters))


def _namer(seed: int, night: str) -> Callable[[], str]:
    """Return a function that gives unique names such as ZTF24abcdefg, scattered over the alphabet.

    The first two letters come from the seed, so that skies of different seeds do not share names.
    """
    first = _LETTERS[seed // 26 % 26] + _LETTERS[seed % 26]
    room = 26**5
    serials = itertools.count(night_start_number(night))

    def name() -> str:
        left = next(serials) * 7_654_321 % room
        letters = ""
        for _ in range(5):
            left, letter = divmod(left, 26)
            letters = _LETTERS[letter] + letters
        return f"ZTF{night[2:4]}{first}{letters}"

    return name


def night_start_number(night: str) -> int:
    """Return a serial number from which a night's objects count: nights do not share names until 30,000 objects."""
    return int(night_start(night)) % 365 * 30_000
