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
#: Classes tried for one alert before an exposure is left
_CLASS_ATTEMPTS = 5
#: Exposures after which the objects of a field are not remembered: about an hour, a pair of visits is closer
_LONG_PAUSE = 100
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
    kinds, shares = _checked(DEFAULT_WEIGHTS if weights is None else weights)
    return _Night(n, seed, night or DEFAULT_NIGHT, kinds, shares).alerts()


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
    kinds = [kind for kind in DEFAULT_WEIGHTS if weights.get(kind, 0.0) > 0]
    return kinds, list(itertools.accumulate(weights[kind] / total for kind in kinds))


class _Night:
    """One night of `n` alerts: its exposures, the fields open at a time, and the mixture of classes."""

    def __init__(self, n: int, seed: int, night: str, kinds: list[str], shares: list[float]) -> None:
        self._n = n
        self._seed = seed
        self._start = night_start(night)
        self._exposures = list(tonight(seed, night))
        self._per_exposure = max(_FEWEST_PER_EXPOSURE, math.ceil(n / (len(self._exposures) - 1)))
        self._clear = clear_nights(seed, self._start)
        self._new_name = _namer(seed, night)
        self._kinds, self._shares = kinds, shares

    def alerts(self) -> Iterator[tuple[Packet, Truth]]:
        """Yield the alerts, exposure by exposure; objects are forgotten when their field is left for long."""
        until_next = self._exposures_until_next_visit()
        fields: dict[int, FieldSky] = {}
        sent = 0
        for index, exposure in enumerate(self._exposures):
            if sent >= self._n:
                return
            rng = np.random.default_rng([self._seed, 14, int(self._start), index])
            number = exposure.field.number
            if number not in fields:
                fields[number] = self._open_field(rng, exposure)
            fields[number].expose(exposure)
            goal = round((index + 1 + 0.3 * (rng.random() - 0.5)) * self._per_exposure)
            if index == len(self._exposures) - 1:
                goal = self._n
            for _ in range(goal - sent):
                alert = self._alert(rng, fields[number])
                if alert is None or sent >= self._n:
                    break
                yield alert
                sent += 1
            if math.isinf(until_next[index]):
                del fields[number]
            elif until_next[index] > _LONG_PAUSE:
                fields[number].forget()
        if sent < self._n:
            raise UsageError(
                f"The synthetic night shows {sent} alerts of these classes, not {self._n}.",
                "Give more weight to classes that are bright in every filter.",
            )

    def _exposures_until_next_visit(self) -> list[float]:
        """Return for each exposure how many exposures later its field is visited again; infinity if never."""
        upcoming: dict[int, int] = {}
        pauses = []
        for index in range(len(self._exposures) - 1, -1, -1):
            number = self._exposures[index].field.number
            pauses.append(upcoming.get(number, math.inf) - index)
            upcoming[number] = index
        return pauses[::-1]

    def _open_field(self, rng: np.random.Generator, exposure: Exposure) -> FieldSky:
        """Return a field at its first visit of the night; few alerts fall into few readout channels."""
        size = min(64, max(6, self._per_exposure // 2))
        channels = sorted(rng.permutation(64)[:size].tolist())
        past = past_exposures(self._seed, self._start, exposure.jd, exposure.field, self._clear)
        return FieldSky(past, channels, self._new_name)

    def _alert(self, rng: np.random.Generator, sky: FieldSky) -> tuple[Packet, Truth] | None:
        """Return an alert of the latest exposure of a field; a class that cannot be seen gives way to another."""
        for _ in range(_CLASS_ATTEMPTS):
            cell = int(np.searchsorted(self._shares, rng.random(), side="right"))
            kind = self._kinds[min(cell, len(self._kinds) - 1)]
            found = sky.detect(rng, kind)
            if found is not None:
                packet = build_packet(rng, found, sky.epochs)
                return packet, Truth(packet["candid"], found.name, kind, dict(found.source.parameters))
        return None


def _namer(seed: int, night: str) -> Callable[[], str]:
    """Return a function that gives unique names such as ZTF24abcdefg, scattered over the alphabet.

    The first two letters come from the seed, so that skies of different seeds do not share names.
    """
    first = _LETTERS[seed // 26 % 26] + _LETTERS[seed % 26]
    room = 26**5
    # a night's objects count from their own number: nights share no names until 30,000 objects
    serials = itertools.count(int(night_start(night)) % 365 * 30_000)

    def name() -> str:
        left = next(serials) * 7_654_321 % room
        letters = ""
        for _ in range(5):
            left, letter = divmod(left, 26)
            letters = _LETTERS[letter] + letters
        return f"ZTF{night[2:4]}{first}{letters}"

    return name
