"""A night of commits without a night of alerts: what the jobs write into their logs, made up, for boards to read."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, Commit, DataFile, Layout

NIGHT = "20261120"
TOPIC = "ztf_20261120_programid1"
PARTITIONS = 4
TOPICS = {"fink_unknowns_ztf": 0.5, "fink_blazar_ztf": 0.2, "fink_sn_candidates_ztf": 0.04}
MODULE_MS = {"crossmatch": 3.1, "supernnova": 6.4, "early_snia": 1.2, "microlensing": 0.8}
SIMBAD_TYPES = ("Unknown", "Unknown", "Unknown", "RRLyrae", "RRLyrae", "QSO", "EclBin", "Galaxy", "LPV*", "BLLac")
REASON = "the packet ends before its datum does"
#: a moment of that night, unix seconds
NOW = 1_795_300_000.0


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class MadeUpNight:
    """Writes batches of all stages, one after the other.

    Parameters
    ----------
    online : str
        The data prefix.
    seed : int
        Of the random numbers.
    """

    online: str
    seed: int = 1
    batches: int = 0
    offset: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._tables = {
            name: AlertTable(Layout(self.online).table(name)) for name in ("raw", "science", "topics", "archived")
        }
        for table in self._tables.values():
            table.create()

    def step(self, now: float, alerts: int = 24, until: str = "archived") -> None:
        """Write one batch of each stage up to one of them, committed at a unix time in seconds and a little later."""
        number, self.batches = self.batches, self.batches + 1
        rejected = 1 if number % 9 == 4 else 0
        raw = self._raw(number, now, alerts, rejected)
        self._tables["raw"].commit(raw)
        if until == "raw":
            return
        science = self._science(number, now + 0.6, raw)
        self._tables["science"].commit(science)
        if until == "science":
            return
        self._tables["topics"].commit(self._topics(number, now + 1.0, science))
        if until == "archived":
            self._tables["archived"].commit(self._archived(number, now + 1.2, science))

    def commit(self, stage: str, commit: Commit) -> None:
        """Write any batch."""
        self._tables[stage].commit(commit)

    def _raw(self, number: int, now: float, alerts: int, rejected: int) -> Commit:
        begin, self.offset = self.offset, self.offset + alerts // PARTITIONS
        counts = {"in": alerts, "out": alerts - rejected, "rejected": rejected, "duplicate": 0}
        details = {
            "offsets": {TOPIC: {str(part): [begin, self.offset] for part in range(PARTITIONS)}},
            "lost_offsets": 0,
            "reasons": {REASON: rejected} if rejected else {},
            "candids": "",
        }
        return made(f"r-{number:09d}", [], counts, now - 0.8, now, **details)

    def _science(self, number: int, now: float, raw: Commit) -> Commit:
        taken = raw.counts["out"]
        cut = self._random.randint(0, taken // 5)
        out = taken - cut
        details: dict[str, Any] = {
            "cuts": {"rb": cut} if cut else {},
            "failed": {"gaia": 2} if number % 5 == 0 else {},
            "skipped": {"microlensing": out // 2},
            "module_ms": {name: round(ms * out * self._random.uniform(0.8, 1.2), 3) for name, ms in MODULE_MS.items()},
        }
        commit = made(f"s-{number:09d}", [raw.id], {"in": taken, "out": out, "cut": cut}, now - 0.5, now, **details)
        self._write_rows(commit)
        return commit

    def _write_rows(self, commit: Commit) -> None:
        """Write the file of a batch of science: positions along a strip of the sky, and SIMBAD types."""
        storage = self._tables["science"].storage
        for file in commit.files:
            rows = [
                {
                    "candid": self._random.getrandbits(60),
                    "cdsxmatch": self._random.choice(SIMBAD_TYPES),
                    "candidate": {"ra": self._random.gauss(180, 40) % 360, "dec": self._random.gauss(20, 12)},
                }
                for _ in range(file.rows)
            ]
            storage.make_folder(file.path.rpartition("/")[0])
            pq.write_table(pa.Table.from_pylist(rows), f"{storage.root}/{file.path}")

    def _topics(self, number: int, now: float, science: Commit) -> Commit:
        alerts = science.counts["out"]
        sent = {name: int(alerts * share + self._random.random()) for name, share in TOPICS.items()}
        filters = {
            name.removeprefix("fink_").removesuffix("_ztf"): {
                "identity": "1-0",
                "seen": alerts,
                "passed": passed,
                "failed": 0,
                "ms": round(alerts * self._random.uniform(0.02, 0.4), 3),
            }
            for name, passed in sent.items()
        }
        return made(
            f"topics-s-{number:09d}",
            [science.id],
            {"in": alerts, "out": alerts},
            now - 0.2,
            now,
            topics={name: passed for name, passed in sent.items() if passed},
            filters=filters,
            **self._latencies(alerts),
        )

    def _archived(self, number: int, now: float, science: Commit) -> Commit:
        alerts = science.counts["out"]
        nights = {NIGHT: {"numbers": {"raw": science.counts["in"], "sci": alerts}, "classes": {"Unknown": alerts}}}
        details = {"nights": nights, "tables": {}, **self._latencies(alerts)}
        return made(f"archived-s-{number:09d}", [science.id], {"in": alerts, "out": alerts}, now - 0.3, now, **details)

    def _latencies(self, alerts: int) -> dict[str, Any]:
        if not alerts:
            return {}
        bins: dict[float, int] = {}
        for _ in range(alerts):
            edge = 0.25 * max(1, round(self._random.lognormvariate(2.1, 0.25)))
            bins[edge] = bins.get(edge, 0) + 1
        return {
            "latency_seconds": {"max": max(bins) - 0.1},
            "latency_histogram": [[edge, count] for edge, count in sorted(bins.items())],
        }


def made(
    name: str, inputs: list[str], counts: dict[str, int], started: float, committed: float, **details: Any
) -> Commit:
    """Return a batch whose file holds what it put out."""
    files = [DataFile(f"night={NIGHT}/{name}-0.parquet", NIGHT, counts["out"], 1000 * counts["out"])]
    return Commit(name, inputs, files if counts["out"] else [], counts, started, committed, details)
