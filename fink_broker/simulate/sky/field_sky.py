"""One field through the night: its exposures, and the objects that were alerted in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fink_broker.simulate.sky.exposures import Exposure
from fink_broker.simulate.sky.fields import HEIGHT, PIXEL, WIDTH, pixel_to_sky, sun_elongation
from fink_broker.simulate.sky.measurements import TABLES
from fink_broker.simulate.sky.models import MODELS
from fink_broker.simulate.sky.neighbours import find_neighbours
from fink_broker.simulate.sky.observing import ALERT, Epochs, TrackedObject, detections, upper_limit
from fink_broker.simulate.sky.packets import HISTORY, inside
from fink_broker.simulate.sky.source import Source, View
from fink_broker.simulate.sky.units import flux_of

#: Draws of a model until one is visible
_ATTEMPTS = 400
_FORCED_SHARE = 0.5
_CHANNELS = 64


class FieldSky:
    """Objects of one field.

    Parameters
    ----------
    past : list of Exposure
        Exposures of the nights before, oldest first.
    channels : list of int
        Readout channels in which this field has alerts.
    new_name : callable
        Gives each new object its name.
    """

    def __init__(self, past: list[Exposure], channels: list[int], new_name: Callable[[], str]) -> None:
        self._exposures = past
        self._channels = channels
        self._new_name = new_name
        self._serials = [0] * _CHANNELS
        self._objects: dict[str, list[TrackedObject]] = {}
        self._waiting: dict[str, list[TrackedObject]] = {}
        self._limits: dict[tuple[int, int], dict[str, object]] = {}
        self.epochs = Epochs(past)

    def expose(self, exposure: Exposure) -> None:
        """Add an exposure of tonight."""
        self._exposures.append(exposure)
        self.epochs = Epochs(self._exposures)
        self._view = View(exposure.jd, exposure.fid, exposure.limit, sun_elongation(exposure.field, exposure.jd))
        self._waiting = {kind: list(objects) for kind, objects in self._objects.items()}

    def forget(self) -> None:
        """Drop the objects seen so far, to save memory; later visits show others."""
        self._objects.clear()
        self._waiting.clear()
        self._limits.clear()

    def detect(self, rng: np.random.Generator, kind: str) -> TrackedObject | None:
        """Return an object of a class detected in the latest exposure: one seen earlier tonight if there is, else new.

        None if no source of that class can be seen in this exposure.
        """
        waiting = self._waiting.get(kind, [])
        while waiting:
            again = self._again(rng, waiting.pop(0))
            if again is not None:
                return again
        return self._new(rng, kind)

    def _new(self, rng: np.random.Generator, kind: str) -> TrackedObject | None:
        """Draw sources of a class until one is detected."""
        model, view = MODELS[kind], self._view
        jd, fid = self.epochs.jd[-1:], self.epochs.fid[-1:]
        least = flux_of(view.limit)
        for _ in range(_ATTEMPTS):
            source = model(rng, view)
            if abs(float(source.flux(jd, fid)[0])) < least:
                continue
            found = self._place(rng, source)
            if self._measure(rng, found):
                self._objects.setdefault(kind, []).append(found)
                return found
        return None

    def _place(self, rng: np.random.Generator, source: Source) -> TrackedObject:
        """Give a source a place in the field, a name and neighbours."""
        channel = self._channels[int(rng.integers(0, len(self._channels)))]
        x, y = (40.0 + rng.random(2) * (WIDTH - 80.0, HEIGHT - 80.0)).tolist()
        return self._at(rng, source, channel, x, y)

    def _at(self, rng: np.random.Generator, source: Source, channel: int, x: float, y: float) -> TrackedObject:
        ra, dec = pixel_to_sky(self._exposures[-1].field, channel, x, y)
        crowd = int(np.interp(rng.random(), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), TABLES[source.look][-1]))
        serial = self._serials[channel]
        self._serials[channel] += 1
        return TrackedObject(
            name=self._new_name(),
            source=source,
            serial=serial,
            channel=channel,
            x=x,
            y=y,
            ra=ra,
            dec=dec,
            neighbours=find_neighbours(rng, source.reference, ra, dec, crowd),
            coverage=int(rng.integers(200, 2500)),
            forced=source.fixed and bool(rng.random() < _FORCED_SHARE),
        )

    def _again(self, rng: np.random.Generator, object_: TrackedObject) -> TrackedObject | None:
        """Observe an object once more; one that moved is a new object at its new place."""
        source = object_.source
        if source.fixed:
            return object_ if self._measure(rng, object_) else None
        if source.look != "moving":
            return None
        minutes = (self.epochs.jd[-1] - object_.last_jd) * 1440.0
        x = object_.x - source.motion[0] * minutes / PIXEL
        y = object_.y + source.motion[1] * minutes / PIXEL
        if not inside(x, y):
            return None
        moved = self._at(rng, source, object_.channel, x, y)
        return moved if self._measure(rng, moved) else None

    def _measure(self, rng: np.random.Generator, object_: TrackedObject) -> bool:
        """Measure an object in the epochs it lacks and write their rows; tell whether it is detected in the latest."""
        known = len(object_.rows)
        epochs = self.epochs
        true = object_.source.flux(epochs.jd[known:], epochs.fid[known:])
        if not object_.source.fixed:
            true[:-1] = 0.0
        error = epochs.noise(np.concatenate([object_.flux, true]), object_.source.reference)[known:]
        flux = true + error * rng.standard_normal(len(true))
        if abs(flux[-1]) < ALERT * error[-1]:
            return False
        object_.flux = np.concatenate([object_.flux, flux])
        object_.error = np.concatenate([object_.error, error])
        self._write_rows(rng, object_, known)
        return True

    def _write_rows(self, rng: np.random.Generator, object_: TrackedObject, known: int) -> None:
        """Add rows for epochs from number `known`: none before the history, an upper limit, or a detection."""
        epochs = self.epochs
        recent = epochs.jd >= epochs.jd[-1] - HISTORY
        seen = np.flatnonzero((object_.significance >= ALERT) & recent)
        seen = seen[seen >= known]
        rows, object_.drawn = detections(
            rng, object_, [epochs.exposures[k] for k in seen], object_.flux[seen], object_.error[seen]
        )
        found = dict(zip(seen.tolist(), rows, strict=True))
        for k in range(known, len(epochs)):
            if k in found:
                object_.rows.append(found[k])
            elif recent[k]:
                object_.rows.append(self._upper_limit(k, object_.channel))
            else:
                object_.rows.append(None)

    def _upper_limit(self, epoch: int, channel: int) -> dict[str, object]:
        """Return the row of an epoch without detection, shared by the objects of a channel."""
        row = self._limits.get((epoch, channel))
        if row is None:
            exposure = self._exposures[epoch]
            row = self._limits[epoch, channel] = upper_limit(exposure, exposure.field, channel)
        return row
