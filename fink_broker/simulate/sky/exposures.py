"""Exposures: tonight's, one after the other, and those of the field in the nights before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from fink_broker.alert.survey import JD_UNIX_EPOCH
from fink_broker.errors import UsageError
from fink_broker.simulate.sky.fields import Field, all_fields, hour_angle, moon_illumination
from fink_broker.simulate.sky.units import BAND_G, BAND_I, BAND_R, DAY

#: First night of the survey's night count: pid and nid count days from here (jd, days)
FIRST_NIGHT = 2457754.5
#: Dark time at Palomar as UTC fraction of the day, and days before tonight of which exposures are known
_DUSK, _DAWN = 0.125, 0.52
HISTORY_DAYS = 120
_I_BAND_SHARE = 0.03
#: Past exposures of a field start in its own one of so many slots of 10⁻⁵ d: more slots than field numbers differ
_SLOTS = 700
#: A field is visited again after so many exposures: short blocks in twilight, then half-hour ones
_BLOCKS = (6, 12, 24, 48)
_LIMITS = {BAND_G: 20.75, BAND_R: 20.6, BAND_I: 20.0}
_COLOUR_TERMS = {BAND_G: -0.055, BAND_R: 0.1, BAND_I: 0.02}
_ZERO_POINTS = {BAND_G: 26.28, BAND_R: 26.22, BAND_I: 25.7}


@dataclass(frozen=True)
class Exposure:
    """One image of one field.

    Parameters
    ----------
    jd : float
        Start (days).
    fid : int
        Filter.
    field : Field
        Pointing.
    limit : float
        Magnitude of five times the noise in the difference image.
    zero_point : float
        Magnitude of one count (DN).
    seeing : float
        Full width at half maximum of stars (pixels).
    calibrators : int
        Number of stars the zero point rests on.
    """

    jd: float
    fid: int
    field: Field
    limit: float
    zero_point: float
    seeing: float
    calibrators: int

    @cached_property
    def night_number(self) -> int:
        """Days since the first night."""
        return math.floor(self.jd - FIRST_NIGHT)

    @cached_property
    def image_number(self) -> int:
        """`pid` of channel 0 without its last four digits: night and UTC fraction of the day in 10⁻⁵ d."""
        return self.night_number * 100_000 + int((self.jd - FIRST_NIGHT) % 1.0 * 1e5)

    @cached_property
    def _stamp(self) -> tuple[str, str, str]:
        """Date, fraction of the day in six digits, and the first part of the image's file name."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=self.jd - JD_UNIX_EPOCH)
        date, fraction = moment.strftime("%Y%m%d"), f"{int((self.jd - FIRST_NIGHT) % 1.0 * 1e6):06d}"
        return date, fraction, f"ztf_{date}{fraction}_{self.field.number:06d}_z{'gri'[self.fid - 1]}"

    def pid(self, channel: int) -> int:
        """Return the number of the image of one readout channel; it encodes the time."""
        return self.image_number * 10_000 + channel * 100 + 15

    def file_name(self, channel: int) -> str:
        """Return the name of the channel's difference image, as in a candidate."""
        return f"{self._stamp[2]}_c{channel // 4 + 1:02d}_o_q{channel % 4 + 1}_scimrefdiffimg.fits"

    def archive_path(self, channel: int) -> str:
        """Return the path of the channel's difference image, as in a history."""
        date, fraction, _ = self._stamp
        return f"/ztf/archive/sci/{date[:4]}/{date[4:]}/{fraction}/{self.file_name(channel)}.fz"

    @property
    def colour_term(self) -> float:
        """Colour coefficient of the photometric calibration."""
        return _COLOUR_TERMS[self.fid] + 0.01 * (self.seeing - 2.2)

    @property
    def zero_point_error(self) -> float:
        """Uncertainty of the zero point (mag)."""
        return 4.0e-3 / self.calibrators

    @property
    def zero_point_scatter(self) -> float:
        """Scatter of the stars around the zero point (mag)."""
        return 0.025 + 0.008 * abs(self.seeing - 1.5)


def night_start(night: str) -> float:
    """Return the jd (days) of 0h UTC of a night `YYYYMMDD`.

    Raises
    ------
    UsageError
        If it is no date.
    """
    try:
        date = datetime.strptime(night, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(f"'{night}' is no observing night.", "Write it as YYYYMMDD, for example 20240901.") from error
    return date.timestamp() / DAY + JD_UNIX_EPOCH


def expose(rng: np.random.Generator, jd: float, fid: int, field: Field) -> Exposure:
    """Take an exposure under random conditions: seeing around 2", brighter sky with the Moon, thin clouds at times."""
    noise = rng.standard_normal(4).tolist()
    cloud, calibrators = rng.random(2).tolist()
    seeing = 2.1 * math.exp(0.16 * noise[0])
    clouds = 1.2 * (cloud - 0.93) / 0.07 if cloud > 0.93 else 0.0
    limit = _LIMITS[fid] - 0.6 * moon_illumination(jd) ** 2 - 0.45 * (seeing - 2.1) + 0.25 * noise[1] - clouds
    zero_point = _ZERO_POINTS[fid] + 0.06 * noise[2] - clouds
    number = int(300 + 1700 * calibrators)
    return Exposure(jd, fid, field, min(max(limit, 18.6), 21.4), zero_point, seeing, number)


def tonight(seed: int, night: str) -> Iterator[Exposure]:
    """Yield the night's exposures, 31 to 40 s apart, in order of time.

    Blocks of fields near the meridian are gone through twice, in g then r or the other way round. About 3 % are in i.

    Parameters
    ----------
    seed : int
        Seed of the sky.
    night : str
        `YYYYMMDD`.
    """
    start = night_start(night)
    rng = np.random.default_rng([seed, 11, int(start)])
    jd = start + _DUSK + rng.uniform(0.0, 0.005)
    seen: dict[int, int] = {}
    block = 0
    while True:
        fields = _next_block(rng, jd, _BLOCKS[min(block, len(_BLOCKS) - 1)], seen)
        block += 1
        filters = (BAND_G, BAND_R) if rng.random() < 0.6 else (BAND_R, BAND_G)
        for fid in filters:
            for field in fields:
                used = BAND_I if rng.random() < _I_BAND_SHARE else fid
                yield expose(rng, jd, used, field)
                jd += rng.uniform(31.0, 40.0) / DAY
                if jd > start + _DAWN:
                    return


def _next_block(rng: np.random.Generator, jd: float, size: int, seen: dict[int, int]) -> list[Field]:
    """Return fields high in the sky that were visited least tonight, in order along the sky."""
    up = [f for f in all_fields() if abs(hour_angle(f, jd)) < 3.5 and abs(f.dec - 33.0) < 62.0]
    weights = rng.random(len(up))
    ranked = sorted(range(len(up)), key=lambda k: (seen.get(up[k].number, 0), weights[k]))
    chosen = [up[k] for k in ranked[:size]]
    for field in chosen:
        seen[field.number] = seen.get(field.number, 0) + 1
    return sorted(chosen, key=lambda f: (round(hour_angle(f, jd)), f.dec))


def _own_slot(jd: float, field: Field) -> float:
    """Return the time next to jd (days) at which no other field is observed, so that image numbers stay unique."""
    day = math.floor(jd - FIRST_NIGHT)
    own = field.number % _SLOTS
    slot = round(((jd - FIRST_NIGHT - day) * 1e5 - own) / _SLOTS) * _SLOTS + own
    return FIRST_NIGHT + day + (slot + 0.5) / 1e5


def clear_nights(seed: int, start: float) -> list[bool]:
    """Return for each of the last HISTORY_DAYS nights (yesterday first) whether the dome was open.

    Weather persists: a clear night is followed by a clear one in 85 % of cases, a bad one by a bad one in 55 %.
    """
    rng = np.random.default_rng([seed, 12, int(start)])
    clear, nights = True, []
    for chance in rng.random(HISTORY_DAYS).tolist():
        clear = chance < (0.85 if clear else 0.45)
        nights.append(clear)
    return nights


def past_exposures(seed: int, start: float, tonight_jd: float, field: Field, clear: list[bool]) -> list[Exposure]:
    """Return the field's exposures of the HISTORY_DAYS before tonight, oldest first.

    Every second clear night (a few fields: every third or twelfth) in g and r, 20 to 60 minutes apart, at about the
    same sidereal time.

    Parameters
    ----------
    seed : int
        Seed of the sky.
    start : float
        0h UTC of tonight (jd, days).
    tonight_jd : float
        When the field is first observed tonight (jd, days).
    field : Field
        The pointing.
    clear : list of bool
        Result of `clear_nights`.
    """
    rng = np.random.default_rng([seed, 13, int(start), field.number])
    cadence = int(rng.choice([2, 3, 12], p=[0.75, 0.15, 0.1]))
    phase = int(rng.integers(0, cadence))
    exposures = []
    for back in range(HISTORY_DAYS, 0, -1):
        if (back + phase) % cadence or not clear[back - 1]:
            continue
        dusk = start - back + _DUSK
        jd = tonight_jd - back + back * 0.0027 + rng.normal(0.0, 0.02)
        jd = min(max(jd, dusk + 0.02 * rng.random()), start - back + _DAWN - 0.05)
        filters = (BAND_G, BAND_R) if rng.random() < 0.5 else (BAND_R, BAND_G)
        later = rng.uniform(20.0, 60.0) / 1440.0
        for fid, at in zip(filters, (jd, jd + later), strict=True):
            if rng.random() < 0.06:
                continue
            used = BAND_I if rng.random() < _I_BAND_SHARE else fid
            exposures.append(expose(rng, _own_slot(at, field), used, field))
    return exposures
