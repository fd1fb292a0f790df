"""The tables of the archive, as data: which alerts a table holds, under which keys, and with which columns.

A table that is not the main one exists because a question could not be answered otherwise without reading the whole of
it, and holds what the answer shows, so that no question needs a second look-up. ``docs/archive.md`` tells what each
costs.

Keys end with the candid. A telescope's time stamps are those of exposures, and an object can have two alerts in one
exposure; under ``objectId_jd`` alone the second would replace the first, and the archive would hold fewer alerts than
came in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.sky import on_sky
from fink_broker.archive import columns
from fink_broker.archive.hbase import cells, keys
from fink_broker.archive.hbase.positions import pixels_of
from fink_broker.science.asteroids import KNOWN

Mask = np.ndarray
Keys = Callable[[pa.Table], list[bytes]]

#: Anomaly scores below this are filed (lower is stranger). 5 % of the alerts of a real night have such a score, so that
#: the ten strangest of any night of more than a few hundred alerts are among them.
STRANGE = -0.022
#: Scores above this are filed.
LIKELY_SUPERLUMINOUS = 0.5
#: So many versions a time that those of all times keys can hold are less than 2^63.
_VERSIONS_OF_A_TIME, _REMAINDERS = 90_000, 29
_TICKS_PER_DAY = 10_000_000
#: Name of the table of one record a night.
STATISTICS = "statistics"


@dataclass(frozen=True)
class Table:
    """A table of alerts.

    Parameters
    ----------
    suffix : str
        Its name behind that of the main table.
    key : str
        What its keys are made of, in words.
    keys : callable
        From published columns to the keys of these alerts.
    takes : callable
        Which alerts it holds, from published columns; a comparison with a missing value does not hold.
    has_column : callable
        Which published columns it holds.
    newest_wins : bool
        Whether alerts share a key and the latest exposure stays.
    by_time : bool
        Whether its keys are those of ``keys.time_key``, followed by the candid.
    labelled : bool
        Whether these have a label.
    """

    suffix: str
    key: str
    keys: Keys
    takes: Callable[[pa.Table], Mask]
    has_column: Callable[[str], bool] = columns.is_index_column
    newest_wins: bool = False
    by_time: bool = False
    labelled: bool = False


def main_keys(alerts: pa.Table) -> list[bytes]:
    """Return the keys of the main table, ``objectId_jd_candid``."""
    return _with_candid(keys.alert_keys(alerts["i:objectId"], alerts["i:jd"]), alerts)


def versions(alerts: pa.Table) -> np.ndarray:
    """Return what orders alerts of one key of which the newest stays: numbers below 2^63 that follow the exposure time.

    A version is the exposure time in units of 1e-7 day, times 90,000, plus a thousand times the remainder of the candid
    by 29. So it is a function of the alert alone, and which of two alerts of an object at one time stays does not
    depend on which was written first: in an image their candids differ by little, or by little more than 5,000 if one
    is brighter and one fainter than the reference, and so do their remainders; where times were edited to be the same,
    one pair in 29 has the same. More remainders would tell more apart, and cost more: a request to the database writes
    alerts of one version. A row that is to stand in for an alert of some version can be given the next one.
    """
    ticks = np.rint(alerts["i:jd"].to_numpy() * _TICKS_PER_DAY).astype(np.int64)
    return np.asarray(ticks * _VERSIONS_OF_A_TIME + 1000 * (alerts["i:candid"].to_numpy() % _REMAINDERS))


def needed(tables: str) -> Mapping[str, Sequence[str]]:
    """Return name and column families of every table the archive writes, below the name of the main table."""
    wanted = {table.suffix: cells.INDEX_FAMILIES for table in INDEX}
    wanted |= {STATISTICS: cells.RECORD_FAMILIES, **cells.needed_tables()}
    return {cells.table_name(tables, suffix): families for suffix, families in wanted.items()}


def _with_candid(made: list[bytes], alerts: pa.Table) -> list[bytes]:
    candids = alerts["i:candid"].to_pylist()
    return [b"%b_%d" % pair for pair in zip(made, candids, strict=True)]


def _by_time(label: str | None = None) -> Keys:
    def make(alerts: pa.Table) -> list[bytes]:
        labels = None if label is None else alerts[label]
        return _with_candid(keys.time_keys(labels, alerts["i:jd"], alerts["i:objectId"]), alerts)

    return make


def _by_name(alerts: pa.Table) -> list[bytes]:
    return _with_candid(keys.label_keys(alerts["i:ssnamenr"], alerts["i:jd"]), alerts)


def _by_tracklet(alerts: pa.Table) -> list[bytes]:
    return keys.joined_keys(alerts["d:tracklet"], alerts["i:objectId"])


def _by_position(alerts: pa.Table) -> list[bytes]:
    pixels = pixels_of(alerts["i:ra"].to_numpy(), alerts["i:dec"].to_numpy())
    return keys.position_keys(pixels, alerts["i:objectId"])


def _every(alerts: pa.Table) -> Mask:
    return np.ones(len(alerts), dtype=bool)


def _on_sky(alerts: pa.Table) -> Mask:
    return np.asarray(on_sky(alerts["i:ra"].to_numpy(), alerts["i:dec"].to_numpy()))


def _named(name: str, *nothing: str) -> Callable[[pa.Table], Mask]:
    """Return a function that tells where a text says something."""
    return lambda alerts: (
        _mask(pc.invert(pc.is_in(alerts[name], value_set=pa.array(["", *nothing])))) & _mask(pc.is_valid(alerts[name]))
    )


def _known_to_the_minor_planet_center(alerts: pa.Table) -> Mask:
    return _mask(pc.equal(alerts["d:roid"], KNOWN)) & _named("i:ssnamenr", columns.NO_SOLAR_SYSTEM_OBJECT)(alerts)


def _strange(alerts: pa.Table) -> Mask:
    return _mask(pc.less(alerts["d:anomaly_score"], STRANGE))


def _superluminous(alerts: pa.Table) -> Mask:
    return _mask(pc.greater(alerts["d:slsn_score"], LIKELY_SUPERLUMINOUS))


def _blazar_is_low(alerts: pa.Table) -> Mask:
    """Tell whose last and whose mean flux are below the blazar's threshold (both ratios in 0 to 1; -1: no blazar)."""
    last, mean = _blazar(alerts, "instantness_low"), _blazar(alerts, "robustness_low")
    return (last >= 0) & (last <= 1) & (mean >= 0) & (mean <= 1)


def _blazar_is_high(alerts: pa.Table) -> Mask:
    """Tell whose last and whose mean flux are at or above the threshold of the blazar's high state."""
    return (_blazar(alerts, "instantness_high") >= 1) & (_blazar(alerts, "robustness_high") >= 1)


def _blazar(alerts: pa.Table, ratio: str) -> np.ndarray:
    values = pc.cast(alerts[f"d:blazar_stats_{ratio}"], pa.float64())
    return np.asarray(pc.fill_null(values, -1.0).to_numpy())


def _mask(holds: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(holds, False).to_numpy(), dtype=bool)


def _is_position_column(name: str) -> bool:
    return name in columns.position_columns()


def _in_time(suffix: str, takes: Callable[[pa.Table], Mask], label: str | None = None) -> Table:
    """Return a table sorted by time, or by label and time; ``label`` is the column the label is in."""
    parts = "salt, jd, objectId, candid" if label is None else "salt, label, jd, objectId, candid"
    return Table(suffix, parts, _by_time(label), takes, by_time=True, labelled=label is not None)


#: The latest alert of each object, where it is on the sky.
POSITION = Table(cells.POSITION_SUFFIX, "pixel, objectId", _by_position, _on_sky, _is_position_column, newest_wins=True)
#: Every alert, by time. Removed last: as long as an alert is in it, whatever else there is of the alert can be found.
BY_TIME = _in_time("jd", _every)
#: Every table beside the main one that holds alerts, in the order in which they are written.
INDEX: tuple[Table, ...] = (
    POSITION,
    _in_time("class", _every, "d:classification"),
    _in_time("tns", _named("d:tns"), "d:tns"),
    Table("ssnamenr", "ssnamenr, jd, candid", _by_name, _known_to_the_minor_planet_center),
    Table("tracklet", "tracklet, objectId", _by_tracklet, _named("d:tracklet", "null")),
    _in_time("anomaly", _strange),
    _in_time("slsn", _superluminous),
    _in_time("low_state_blazars", _blazar_is_low),
    _in_time("high_state_blazars", _blazar_is_high),
    BY_TIME,
)
