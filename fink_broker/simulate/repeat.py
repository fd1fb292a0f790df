"""The same alerts over again, as if they came on later nights from other objects.

Each pass has its own identifiers, so that nothing downstream takes its alerts for repeats, and its times lie whole
nights later, so that light curves, gaps and the time of night stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fink_broker.alert.packet import Record
from fink_broker.alert.survey import ZTF
from fink_broker.simulate.sources import Source
from fink_broker.simulate.stored import StoredAlert

#: ZTF identifiers count time: candid is (night, millionths of the day, place on the camera), pid (night, millionths,
#: readout channel), with night 0 on 2017-01-01
CANDID_PER_NIGHT = 10**15
PID_PER_NIGHT = 10**9
_LARGEST = 2**63 - 1
#: The Sun is up at Palomar from 0.6 of the UTC day: no real candid has this fraction of the day
_DAYTIME = 9 * 10**14
_SERIALS = 10**9
_LAST_NIGHT = 9222  # of those that fit into 64 bits: the year 2042

_NAME = re.compile(r"ZTF(\d\d)([a-z])([a-z])([a-z]{5})")
_LETTERS = 26
_YEARS_APART = 14  # years of real objects, 2017–2030, moved so often without overlap:
_YEAR_MOVES = 100 // _YEARS_APART


@dataclass(frozen=True)
class Repetition:
    """How often the alerts are sent, and how passes differ.

    Parameters
    ----------
    times : int
        Number of passes; the first is sent as it is.
    nights_apart : int
        Nights between passes.
    fresh_objects : bool
        Whether each pass has objects of its own. If not, choose `nights_apart` so that passes do not overlap: objects
        would have two alerts at one time.
    """

    times: int = 1
    nights_apart: int = 1
    fresh_objects: bool = True

    def alerts(self, source: Source) -> Iterator[StoredAlert]:
        """Yield the alerts of a source, pass by pass; the same source gives the same alerts."""
        yield from source.alerts()
        serial = 0
        for number in range(1, self.times):
            for alert in source.alerts():
                yield self.again(alert, number, serial)
                serial += 1

    def again(self, alert: StoredAlert, number: int, serial: int) -> StoredAlert:
        """Return the alert of a later pass.

        Parameters
        ----------
        alert : StoredAlert
            The alert of the first pass; it is not changed.
        number : int
            Which pass, from 1.
        serial : int
            Number of the alert among those of all later passes, from 0: it makes the candid unique.
        """
        nights = number * self.nights_apart
        record, old = dict(alert.record), alert.record["candid"]
        candidate = _later(record["candidate"], nights)
        record["candid"] = candidate["candid"] = fresh_candid(old, candidate["jd"], serial)
        record["candidate"] = candidate
        for history in ("prv_candidates", "fp_hists"):
            if record.get(history):
                record[history] = [_later(point, nights) for point in record[history]]
        if self.fresh_objects:
            record["objectId"] = fresh_object(record["objectId"], number)
        return StoredAlert(record, alert.schema)


def fresh_candid(old: int, jd: float, serial: int) -> int:
    """Return a candid that no real alert has, nor any other serial number.

    It begins with the night of jd (days), as ZTF's do, and goes on with a daytime, when ZTF does not observe; digits
    of the old candid keep repetitions of different sources apart.
    """
    night = min(int(jd - ZTF.jd_first), _LAST_NIGHT)
    return night * CANDID_PER_NIGHT + _DAYTIME + old % 99_991 * _SERIALS + serial % _SERIALS


def fresh_object(name: str, number: int) -> str:
    """Return the name of an object in pass `number`, in ZTF's style where it had one.

    Letters and year are moved on so that passes share no names, as long as the first letters of the originals are one
    letter (of ZTF's they are, ``a``): the first for 26 passes, then the year, then the second letter.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return f"{name}_{number}"
    rest, first = divmod(number, _LETTERS)
    second, years = divmod(rest, _YEAR_MOVES)
    year = (int(match[1]) + years * _YEARS_APART) % 100
    return f"ZTF{year:02d}{_move(match[2], first)}{_move(match[3], second)}{match[4]}"


def _move(letter: str, by: int) -> str:
    return chr(ord("a") + (ord(letter) - ord("a") + by) % _LETTERS)


def _later(point: Record, nights: int) -> Record:
    """Return a detection or limit as it would be some nights later."""
    return point | {
        key: moved
        for key, per_night in _MOVED.items()
        if (moved := _add(point.get(key), nights * per_night)) is not None
    }


def _add(value: Any, amount: int) -> Any:
    """Return a value moved on; None if it is missing, a number that stands for missing, or grows too large."""
    if value is None or value < 0:
        return None
    moved = value + amount
    return moved if isinstance(moved, float) or moved <= _LARGEST else None


#: fields that count time, and what a night is worth in each
_MOVED = {
    "jd": 1,
    "jdstarthist": 1,
    "jdendhist": 1,
    "nid": 1,
    "pid": PID_PER_NIGHT,
    "candid": CANDID_PER_NIGHT,
}
