"""What topics of positions and maps cost: milliseconds an alert, against other ways in the same run.

python -m benchmarks.watchlists
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from astropy import units
from astropy.io import fits
from astropy_healpix import healpy as healpix
from mocpy import MOC
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measure import machine, spread
from benchmarks.watchlist_ways import Astropy, BruteForce, HealpixCells, Strips
from fink_broker.alert.lightcurve import Floats
from fink_broker.filters.places.area import Area
from fink_broker.filters.places.discs import Discs
from fink_broker.filters.places.watchlist import Watchlist
from fink_broker.filters.view import AlertView

#: Alerts in a batch: what the broker hands over when there is much to do, and what a quiet second brings.
SIZES = (512, 50)
GOAL_MS = 0.05
#: Ways that would take minutes are asked about a few alerts only.
_FEW = 20

Sky = tuple[Floats, Floats]
Decide = Callable[[Floats, Floats], np.ndarray]


def random_sky(count: int, rng: np.random.Generator) -> Sky:
    """Return positions all over the sky, in degrees."""
    return rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))


def lists(count: int, alerts: int, rng: np.random.Generator) -> dict[str, tuple[Floats, Floats, Floats, Sky]]:
    """Return lists (right ascension, declination, radius) and the alerts they are asked about, half of them near."""
    made = {}
    for name, radii, field in [
        ("all sky, 1.5″", [1.5], None),
        ("all sky, 1.5″ to 1°", [1.5, 5.0, 60.0, 3600.0], None),
        ("one field of 1°, 1.5″", [1.5], 0.5),
        ("one field of 1°, 5′", [300.0], 0.5),
    ]:
        if field is None:
            ra, dec = random_sky(count, rng)
        else:
            ra, dec = 10 + rng.uniform(-field, field, count), 41 + rng.uniform(-field, field, count)
        share = 0.02 ** np.arange(len(radii))  # the wider, the rarer
        radius = rng.choice(radii, count, p=share / share.sum())
        near = rng.integers(0, count, alerts // 2)
        far = random_sky(alerts - len(near), rng)
        away = radius[near] / 3600 * rng.uniform(0, 1.4, len(near))
        asked_dec = np.clip(np.concatenate([dec[near] + away, far[1]]), -90, 90)
        mixed = rng.permutation(alerts)
        made[name] = ra, dec, radius, (np.concatenate([ra[near], far[0]])[mixed], asked_dec[mixed])
    return made


def milliseconds(decide: Decide, asked: Sky, size: int) -> float:
    """Return milliseconds an alert over all alerts, in batches of a size."""
    gc.collect()
    began = time.perf_counter()
    for start in range(0, len(asked[0]), size):
        decide(asked[0][start : start + size], asked[1][start : start + size])
    return 1000 * (time.perf_counter() - began) / len(asked[0])


def as_rule(rule: Watchlist | Area) -> Decide:
    """Return a rule as the engine asks it: of a table, its columns read each time."""

    def decide(ra: Floats, dec: Floats) -> np.ndarray:
        position = pa.StructArray.from_arrays([pa.array(ra), pa.array(dec)], ["ra", "dec"])
        return rule.decide(AlertView(pa.table({"candidate": position})))

    return decide


def compare(
    ways: dict[str, Decide], asked: Sky, rounds: int, title: str, console: Console, slow: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Measure ways in turn, batches of each size; print and return milliseconds an alert. All must agree."""
    few = {name: tuple(part[:_FEW] for part in asked) if name in slow else asked for name in ways}
    told = {name: decide(*few[name]) for name, decide in ways.items()}
    first = next(iter(told.values()))
    for name, passed in told.items():
        if not np.array_equal(passed, first[: len(passed)]):
            raise SystemExit(f"{title}: {name} says otherwise of {np.sum(passed != first[: len(passed)])} alerts")
    taken: dict[str, dict[int, list[float]]] = {name: {size: [] for size in SIZES} for name in ways}
    for number in track(range(rounds), description=title, transient=True):
        for name in list(ways) if number % 2 else reversed(ways):
            for size in SIZES:
                taken[name][size].append(milliseconds(ways[name], few[name], size))
    table = Table(title=f"{title}: {first.mean():.1%} of {len(first):,} alerts pass; ms an alert", title_justify="left")
    table.add_column("median (least to most)")
    for size in SIZES:
        table.add_column(f"batches of {size}", justify="right")
    for name, of in taken.items():
        table.add_row(name, *[spread(values, digits=5) for values in of.values()])
    console.print(table)
    return {name: {str(size): values for size, values in of.items()} for name, of in taken.items()}


def watch(count: int, alerts: int, rounds: int, folder: Path, console: Console) -> dict[str, Any]:
    """Measure lists of positions."""
    told: dict[str, Any] = {}
    for title, (ra, dec, radius, asked) in lists(count, alerts, np.random.default_rng(0)).items():
        path = folder / "list.csv"
        path.write_text("ra,dec,radius\n" + "\n".join(f"{a!r},{d!r},{r!r}" for a, d, r in
                        zip(ra.tolist(), dec.tolist(), radius.tolist(), strict=True)))  # fmt: skip
        rule = Watchlist(path)
        began = time.perf_counter()
        rule.check(AlertView(pa.table({"candidate": pa.array([{"ra": 0.0, "dec": 0.0}])})).table.schema)
        loaded = time.perf_counter() - began
        ways: dict[str, Decide] = {
            "Watchlist, as the engine asks it": as_rule(rule),
            "… its tree alone": Discs(ra, dec, radius).cover,
            "HEALPix cells": HealpixCells(ra, dec, radius).cover,
            "strips of declination": Strips(ra, dec, radius).cover,
            "astropy match_to_catalog_sky": Astropy(ra, dec, radius).cover,
            "every source (brute force)": BruteForce(ra, dec, radius).cover,
        }
        # in the last list 2,000 sources cover each alert, and two of the ways look at every pair
        pairs = {"HEALPix cells", "strips of declination"} if "5′" in title else set()
        slow = frozenset({"every source (brute force)"} | pairs)
        told[title] = compare(ways, asked, rounds, f"{count:,} positions, {title}", console, slow)
        told[title]["load_seconds"] = loaded
        console.print(f"file read and tree built in {loaded:.2f} s\n", highlight=False)
    return told


def flat_map(order: int, path: Path) -> None:
    """Write a flat map with a banana on it, as an observatory would (nested, gzip)."""
    ra, dec = healpix.pix2ang(2**order, np.arange(12 * 4**order), nest=True, lonlat=True)
    arc = dec - 30 * np.sin(np.radians(ra))
    values = np.exp(-0.5 * (arc / 4) ** 2 - 0.5 * ((ra - 150) / 40) ** 2)
    table = fits.BinTableHDU.from_columns([fits.Column("PROB", "D", array=values / values.sum())])
    table.header.update(ORDERING="NESTED", NSIDE=2**order, COORDSYS="C")
    table.writeto(path)


def areas(alerts: int, rounds: int, folder: Path, console: Console) -> dict[str, Any]:
    """Measure probability maps at 90 %, against mocpy."""
    asked, told = random_sky(alerts, np.random.default_rng(1)), {}
    for order in (9, 10):
        path = folder / f"map{order}.fits.gz"
        flat_map(order, path)
        began = time.perf_counter()
        rule = Area(path, 0.9)
        region = rule.region
        loaded = time.perf_counter() - began
        moc = MOC.from_depth29_ranges(29, np.stack([region.first, region.end], axis=1).astype(np.uint64))
        ways: dict[str, Decide] = {
            "Area, as the engine asks it": as_rule(rule),
            "… its ranges alone": region.contains,
            "mocpy contains_lonlat": lambda ra, dec, moc=moc: moc.contains_lonlat(ra * units.deg, dec * units.deg),
        }
        title = f"map of order {order} ({12 * 4**order:,} pixels), {len(region.first):,} ranges"
        told[f"order {order}"] = compare(ways, asked, rounds, title, console)
        told[f"order {order}"]["load_seconds"] = loaded
        console.print(f"map unpacked, read and ranked in {loaded:.2f} s\n", highlight=False)
    return told


def main(
    positions: Annotated[int, typer.Option(help="Positions in a list.")] = 100_000,
    alerts: Annotated[int, typer.Option(help="Alerts asked about.")] = 5_120,
    rounds: Annotated[int, typer.Option(help="How often each way is measured.")] = 7,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Measure topics of positions and of maps on one core; the goal is 0.05 ms an alert."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(machine(), highlight=False)
    with tempfile.TemporaryDirectory(prefix="fink-watchlists-") as folder:
        told = {"machine": machine(), "rounds": rounds, "alerts": alerts}
        told["watchlists"] = watch(positions, alerts, rounds, Path(folder), console)
        told["areas"] = areas(alerts, rounds, Path(folder), console)
    ours = [of for part in ("watchlists", "areas") for of in told[part].values()]
    worst = max(statistics.median(next(iter(of.values()))[str(size)]) for of in ours for size in SIZES)
    console.print(f"worst median {worst:.4f} ms an alert, goal {GOAL_MS} ms: {'met' if worst <= GOAL_MS else 'MISSED'}")
    if json_file is not None:
        json_file.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
