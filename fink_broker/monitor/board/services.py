"""The services of all hosts: those of this host as their states say, those of others as their samples do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from fink_broker.metrics.sample import ServiceSample
from fink_broker.monitor.board.views import ServiceView


class LocalServices(Protocol):
    """Who knows the services of this host."""

    def look(self) -> list[ServiceView]:
        """Return every service that was ever started here."""


class NoServices:
    """Stands where nobody knows the services of this host."""

    def look(self) -> list[ServiceView]:
        """Return none."""
        return []


#: A sample seen for the first time that is older than this by its own clock is believed to be; clocks differ by less.
CLOCKS_DIFFER_SECONDS = 120.0

Place = tuple[str, str]


class SignsOfLife:
    """When each service was last heard of, by the clock of this host: those of other hosts may be wrong."""

    def __init__(self) -> None:
        self._heard: dict[Place, tuple[float, float]] = {}

    def hear(self, samples: Iterable[ServiceSample], now: float) -> None:
        """Take note of the last sample of each service, looked at at a unix time in seconds."""
        fresh: dict[Place, tuple[float, float]] = {}
        for sample in samples:
            place = sample.host, sample.name
            known = self._heard.get(place)
            if known is None:
                is_old = sample.age(now) > CLOCKS_DIFFER_SECONDS
                fresh[place] = sample.sampled, sample.sampled if is_old else now
            else:
                fresh[place] = known if known[0] == sample.sampled else (sample.sampled, now)
        self._heard = fresh

    def last(self, sample: ServiceSample) -> float:
        """Return when a service was last heard of, unix seconds."""
        return self._heard.get((sample.host, sample.name), (0.0, sample.sampled))[1]

    def is_lost(self, sample: ServiceSample, now: float) -> bool:
        """Tell whether a service should have been heard of long ago: it was killed, or its host is away."""
        return sample.ended is None and now - self.last(sample) > max(30.0, 5 * sample.every)

    def running(self, samples: Iterable[ServiceSample], now: float) -> list[ServiceSample]:
        """Return the samples of services that have neither ended nor are lost."""
        return [sample for sample in samples if sample.ended is None and not self.is_lost(sample, now)]


def service_views(
    local: Iterable[ServiceView], samples: Iterable[ServiceSample], signs: SignsOfLife, here: str, now: float
) -> tuple[ServiceView, ...]:
    """Return all services, those of this host first.

    Parameters
    ----------
    local : iterable of ServiceView
        The services of this host.
    samples : iterable of ServiceSample
        The last sample of each service of each host.
    signs : SignsOfLife
        Has heard them.
    here : str
        Name of this host.
    now : float
        Unix time in seconds.
    """
    by_place: dict[Place, ServiceSample] = {(sample.host, sample.name): sample for sample in samples}
    views = []
    for view in local:
        sample = by_place.pop((here, view.name), None)
        mine = sample is not None and (view.pid is None or sample.pid == view.pid)
        views.append(_completed(view, sample, signs.last(sample), now) if sample is not None and mine else view)
    views += [_of_sample(sample, signs, now) for _, sample in sorted(by_place.items())]
    return tuple(views)


def _completed(view: ServiceView, sample: ServiceSample, heard: float, now: float) -> ServiceView:
    """Return what is known of a service here, with what only its sample tells."""
    running = view.state in ("up", "starting")
    return replace(
        view,
        cpu_percent=sample.cpu_percent if running else None,
        memory_mib=sample.memory_mib if running else None,
        sample_age=_age(heard, now),
        # one clock: the moment itself is known even where the sample is seen for the first time
        last_seen=max(sample.sampled, view.last_seen or 0.0),
    )


def _age(heard: float, now: float) -> float:
    return round(max(0.0, now - heard), 1)


def _of_sample(sample: ServiceSample, signs: SignsOfLife, now: float) -> ServiceView:
    """Return what a sample tells of a service."""
    why, age = "", _age(signs.last(sample), now)
    if sample.ended is not None:
        state = "stopped" if sample.reason == "done" else "died"
        why = "" if state == "stopped" else sample.reason
    elif signs.is_lost(sample, now):
        state, why = "lost", f"Its last sample came {age:,.0f} s ago: it was killed, or its host is away."
    else:
        state = "up" if sample.up else "starting"
    running = state in ("up", "starting")
    return ServiceView(
        name=sample.name,
        host=sample.host,
        state=state,  # type: ignore[arg-type]  # one of the words above
        since=sample.since,
        ended=sample.ended,
        pid=sample.pid,
        doing=sample.doing,
        why=why,
        cpu_percent=sample.cpu_percent if running else None,
        memory_mib=sample.memory_mib if running else None,
        sample_age=age,
        last_seen=signs.last(sample),
        log=sample.log,
    )
