"""What the pages ask for beside events: CSV files, the sky of a night, rejected packets, Prometheus metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

import numpy as np
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fink_broker.archive.rejected import rejected_packet, rejected_page, rejected_summary
from fink_broker.config import Config
from fink_broker.errors import UsageError
from fink_broker.monitor.board import Board
from fink_broker.monitor.board.night_sky import NSIDE, NightSkies, NightSky, pixel_corners
from fink_broker.monitor.dashboard import csv_files
from fink_broker.monitor.exposition import CONTENT_TYPE, exposition

Handler = Callable[[Request], Awaitable[Response]]

#: rejected packets on a page
PAGE_ROWS = 50
#: nights one can choose from: the latest
MOST_NIGHTS = 1000
_FRESH = {"Cache-Control": "no-store"}


def routes(board: Board) -> list[Route]:
    """Return the paths and what answers them."""
    found: dict[str, Handler] = {**_csv_handlers(board), **_rejected_handlers(board.config)}

    async def metrics(request: Request) -> Response:
        text = await run_in_threadpool(exposition, board.snapshot, board.samples)
        return Response(text, headers=_FRESH, media_type=CONTENT_TYPE)

    found["/metrics"] = metrics
    return [Route(path, handler, methods=["GET"]) for path, handler in found.items()]


def _csv_handlers(board: Board) -> dict[str, Handler]:
    skies = NightSkies(board.config.storage.online)

    def of_history(make: Callable[[], str]) -> Handler:
        def locked() -> str:
            with board.reading:
                return make()

        async def handler(request: Request) -> Response:
            return _csv(await run_in_threadpool(locked))

        return handler

    async def types(request: Request) -> Response:
        sky = await run_in_threadpool(skies.read, request.query_params.get("night", ""))
        return _csv(csv_files.types_csv(sky))

    async def sky_map(request: Request) -> Response:
        told = await run_in_threadpool(lambda: _told(skies.read(request.query_params.get("night", ""))))
        return JSONResponse(told, headers=_FRESH)

    async def nights(request: Request) -> Response:
        found = await run_in_threadpool(skies.nights)
        return JSONResponse({"nights": found[:MOST_NIGHTS]}, headers=_FRESH)

    live = of_history(lambda: csv_files.live_csv(board.live_rates()))
    return {
        "/data/live_raw.csv": live,
        "/data/live.csv": live,
        "/data/history.csv": of_history(lambda: csv_files.history_csv(board.history, time.time())),
        "/data/stages.csv": of_history(lambda: csv_files.stages_csv(board.history, time.time())),
        "/data/nights.csv": of_history(lambda: csv_files.nights_csv(board.history)),
        "/data/simbadtype.csv": types,
        "/api/nights.json": nights,
        "/api/sky.json": sky_map,
    }


def _rejected_handlers(config: Config) -> dict[str, Handler]:
    async def summary(request: Request) -> Response:
        found = await run_in_threadpool(rejected_summary, config)
        days = [{"day": day, "reasons": dict(reasons)} for day, reasons in found.days.items()]
        told = {"total": found.total, "reasons": dict(found.reasons), "days": days[:400]}
        return JSONResponse(told, headers=_FRESH)

    async def page(request: Request) -> Response:
        given = request.query_params
        offset = _whole(given, "offset", 0)
        found = await run_in_threadpool(
            rejected_page, config, given.get("reason", ""), given.get("day", ""), PAGE_ROWS, offset
        )
        entries = [
            {
                "time": entry.time.timestamp(),
                "topic": entry.topic,
                "partition": entry.partition,
                "offset": entry.offset,
                "reason": entry.reason,
                "size": entry.size,
            }
            for entry in found.entries
        ]
        told = {"total": found.total, "offset": offset, "rows": PAGE_ROWS, "entries": entries}
        return JSONResponse(told, headers=_FRESH)

    async def packet(request: Request) -> Response:
        given = request.query_params
        topic, partition, offset = given.get("topic", ""), _whole(given, "partition"), _whole(given, "offset")
        found = await run_in_threadpool(rejected_packet, config, topic, partition, offset)
        if found.content is None:
            raise UsageError("The message has no value: Kafka held a key only, or nothing at all.")
        name = re.sub(r"[^\w.-]", "_", f"{topic}-{partition}-{offset}", flags=re.ASCII)[:150]
        headers = {"Content-Disposition": f'attachment; filename="{name}.avro"'}
        return Response(found.content, headers=headers | _FRESH, media_type="application/octet-stream")

    return {
        "/api/rejected/summary.json": summary,
        "/api/rejected/page.json": page,
        "/api/rejected/packet": packet,
    }


def _told(sky: NightSky) -> dict[str, object]:
    """Return the sky of a night as plain data: each pixel with its alerts and its four corners in degrees."""
    pixels = np.flatnonzero(sky.pixels)
    corners = np.round(pixel_corners(pixels), 3).tolist()
    numbers = sky.pixels[pixels].tolist()
    shown = [{"alerts": number, "corners": four} for number, four in zip(numbers, corners, strict=True)]
    # a pixel covers the same area wherever it is
    area = 4 * np.pi * np.degrees(1.0) ** 2 / (12 * NSIDE**2)
    return {"night": sky.night, "alerts": sky.alerts, "pixel_square_degrees": round(float(area), 3), "pixels": shown}


def _csv(text: str) -> Response:
    return PlainTextResponse(text, headers=_FRESH, media_type="text/csv")


def _whole(given: QueryParams, name: str, otherwise: int | None = None) -> int:
    """Return a whole number of a query.

    Raises
    ------
    UsageError
        If it is none, or lacks.
    """
    text = given.get(name, "" if otherwise is None else str(otherwise))
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise UsageError(f"'{text[:40]}' is no {name}.", f"Write {name}= and a whole number, 0 or more.")
    return int(text)
