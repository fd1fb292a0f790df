"""The times of images, read from their numbers: undoes an edited night.

ZTF numbers its images by the time they were taken. A set of packets whose times were edited, as those of the public
night of 2023-10-18, gets its light curves back by this.
"""

from __future__ import annotations

import copy
from typing import Any

from fink_broker.simulate.repeat import PID_PER_NIGHT

Packet = dict[str, Any]

#: jd (days) at which night 0 of the image numbers begins: 2017-01-01, 0 h UTC.
_FIRST_NIGHT = 2457754.5
#: Digits of an image number below its fraction of the day, and how many parts of a day it counts.
_CHANNELS, _PARTS_OF_DAY = 10**4, 10**5
#: A time further than this (days) from that of its image was edited.
_EDITED_DAYS = 1e-3


def retime(packet: Packet) -> Packet:
    """Return a packet with its own times, and its own position where that was edited with them.

    Parameters
    ----------
    packet : dict
        A decoded packet; it is not changed.
    """
    packet = copy.deepcopy(packet)
    candidate, history = packet["candidate"], packet["prv_candidates"] or []
    edited = abs(image_time(candidate["pid"]) - candidate["jd"]) > _EDITED_DAYS
    for point in [*history, candidate]:
        point["jd"] = image_time(point["pid"])
    if edited:
        detections = [point["jd"] for point in history if point["magpsf"] is not None]
        candidate["jdstarthist"] = min([*detections, candidate["jd"]])
        candidate["ra"], candidate["dec"] = candidate["ranr"], candidate["decnr"]
    return packet


def image_time(pid: int) -> float:
    """Return the jd (days) of the image with this number."""
    return _FIRST_NIGHT + pid // PID_PER_NIGHT + (pid // _CHANNELS % _PARTS_OF_DAY) / _PARTS_OF_DAY
