"""A sky of objects that are seen again and again, for benchmarks of the archive: real rows under fresh identifiers.

Rows come from packets through all science modules. What tables are sorted by is new for each: object, candid, position,
time. All the rest stays as it was, so that texts, nulls and histories are as long and as frequent as they are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa

from benchmarks.filter_table import quiet_config, science_alerts
from benchmarks.measure import load_packets
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import database_rows, places, wanted
from fink_broker.archive.hbase.writing import create_tables, write
from fink_broker.errors import DataError

#: Real alerts, where they are beside the repository.
SOURCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "ztf" / "ztf_public_20231018.tar.gz"
#: The object that is seen most, and how often.
MOST_SEEN, SIGHTINGS = "ZTF18mostsee", 1575
ALERTS_OF_AN_EXPOSURE = 200
FIRST_JD, EXPOSURE_DAYS = 2459215.6, 40 / 86400
NIGHT_EXPOSURES = 700
#: Southern limit of the survey (deg).
SOUTH = -30.0
SCATTER_ARCSEC = 0.1
_DISTINCT = 558
_LETTERS = 26
_BATCH = 500
_THREADS = 2


class Sky:
    """Alerts of a survey in the order in which exposures are taken.

    Most objects have a few alerts, some a hundred and more, one has 1,575. They are spread evenly over the sky north of
    -30°; alerts scatter around them by a tenth of an arcsecond.

    Parameters
    ----------
    alerts : int
        How many alerts.
    seed : int
        Which sky.
    source : str, optional
        Packets the rows come from: a folder, a file, or ``synthetic``. Default: the real ones beside the repository,
        where they are.
    """

    def __init__(self, alerts: int, seed: int = 0, source: str | None = None) -> None:
        self._alerts = alerts
        self._random = np.random.default_rng(seed)
        self._base = base_rows(source)
        count = max(1, alerts // 8)
        # a few objects are seen often: shares fall like those of variable stars among faint ones
        weights = self._random.pareto(1.2, count) + 0.2
        self._shares = np.cumsum(np.minimum(weights, 100.0))
        self._ra = self._random.uniform(0.0, 360.0, count)
        self._dec = np.degrees(np.arcsin(self._random.uniform(np.sin(np.radians(SOUTH)), 1.0, count)))
        self._every = max(1, alerts // SIGHTINGS)

    def batches(self, rows: int = _BATCH) -> Iterator[pa.Table]:
        """Give all alerts as rows of the science table, some at a time."""
        for first in range(0, self._alerts, rows):
            yield self._rows(np.arange(first, min(first + rows, self._alerts)))

    def _rows(self, numbers: np.ndarray) -> pa.Table:
        count = len(numbers)
        drawn = self._random.uniform(0.0, self._shares[-1], count)
        object_number = np.searchsorted(self._shares, drawn)
        famous = (numbers % self._every == 0) & (numbers // self._every < SIGHTINGS)
        object_number[famous] = 0
        names = [MOST_SEEN if most else name_of(each) for each, most in zip(object_number, famous, strict=True)]
        exposure = numbers // ALERTS_OF_AN_EXPOSURE
        jd = FIRST_JD + exposure // NIGHT_EXPOSURES + exposure % NIGHT_EXPOSURES * EXPOSURE_DAYS
        scatter = self._random.normal(0.0, SCATTER_ARCSEC / 3600.0, (2, count))
        dec = np.clip(self._dec[object_number] + scatter[0], -90.0, 90.0)
        ra = (self._ra[object_number] + scatter[1] / np.maximum(np.cos(np.radians(dec)), 1e-3)) % 360.0
        chosen = self._base.take(pa.array(self._random.integers(0, len(self._base), count)))
        # as ZTF counts: the night, the millionth of the day, and a number within the exposure
        day = jd - 2457754.5
        candid = (day * 10**6).astype(np.int64) * 10**9 + numbers % ALERTS_OF_AN_EXPOSURE
        fields = {"jd": jd, "ra": ra, "dec": dec, "candid": candid, "jdstarthist": np.full(count, FIRST_JD)}
        return _replaced(chosen, names, candid, fields)


def fill(archive: Archive, alerts: int, seed: int = 0, source: str | None = None) -> None:
    """Create the tables of an archive and bring it so many alerts of a sky.

    Parameters
    ----------
    archive : Archive
        The database.
    alerts : int
        How many alerts.
    seed : int
        Which sky; the same seed gives the same.
    source : str, optional
        As of `Sky`.
    """
    create_tables(archive)
    with ThreadPoolExecutor(_THREADS) as pool:
        running: list[Future[None]] = []
        for number, rows in enumerate(Sky(alerts, seed, source).batches()):
            running.append(pool.submit(_bring, archive, rows, number))
            if len(running) > 2 * _THREADS:
                running.pop(0).result()
        for waiting in running:
            waiting.result()


def base_rows(source: str | None = None) -> pa.Table:
    """Return the rows that are repeated, of the columns the archive reads."""
    spec = source or (str(SOURCE) if SOURCE.exists() else "synthetic")
    contents = load_packets(spec, _DISTINCT)
    packets = [dict(packet) for content in contents for packet in fastavro.reader(io.BytesIO(content))]
    rows = science_alerts(packets, quiet_config())
    names = {name.split(".")[0] for name in (*wanted(rows.schema), "origin")}
    return rows.select([name for name in rows.column_names if name in names]).combine_chunks()


def name_of(number: int) -> str:
    """Return a name as ZTF gives, of twelve characters, of an object by its number."""
    letters = []
    rest = int(number)
    for _ in range(7):
        rest, letter = divmod(rest, _LETTERS)
        letters.append(chr(ord("a") + letter))
    return "ZTF21" + "".join(reversed(letters))


def _bring(archive: Archive, rows: pa.Table, number: int) -> None:
    made = database_rows(rows, places(f"night=20210101/{number}.parquet", 0, len(rows)))
    if made.refused:
        raise DataError(f"An alert of the sky cannot be archived: {made.refused[0]}.")
    write(archive, made)


def _replaced(rows: pa.Table, names: list[str], candid: np.ndarray, fields: dict[str, np.ndarray]) -> pa.Table:
    """Return rows under other identifiers, some fields of whose candidate are others."""
    candidate = rows["candidate"].combine_chunks()
    parts = dict(zip(candidate.type.names, candidate.flatten(), strict=True))
    parts |= {name: pa.array(values).cast(parts[name].type) for name, values in fields.items()}
    changed = {
        "objectId": pa.array(names),
        "candid": pa.array(candid),
        "candidate": pa.StructArray.from_arrays(list(parts.values()), names=list(parts)),
    }
    for name, column in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows
