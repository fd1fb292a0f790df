"""``euclidin`` and ``eucliddata``: detections of moving objects by Euclid's pipelines, taken in and given out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice

from fink_broker.archive.hbase.keys import part, prefix_range
from fink_broker.archive.hbase.store import KeyRange
from fink_broker.portal import records
from fink_broker.portal.alert_rows import LONGEST_COLUMNS
from fink_broker.portal.columns import check_columns
from fink_broker.portal.euclid_detections import PIPELINES, Submission, detections, schema_of
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows, Text
from fink_broker.portal.writing import check_may_write

TABLES: Mapping[str, str] = {"production": records.EUCLID, "sandbox": records.EUCLID_TRIALS}
_WORD = re.compile(r"[A-Za-z0-9.+-]{1,40}", re.ASCII)
_DAY = re.compile(r"\d{8}", re.ASCII)
_DAYS = re.compile(r"\*|\d{4,8}|\d{8}:\d{8}", re.ASCII)


def take_in(query: Query) -> Text:
    """Store the detections of a file."""
    check_may_write(query)
    for name in ("EID", "version"):
        if _WORD.fullmatch(query[name]) is None:
            raise RequestError(f"`{name}` may have letters, digits and . + -, at most 40.\n")
    if _DAY.fullmatch(query["date"]) is None:
        raise RequestError("`date` must be YYYYMMDD.\n")
    sent = Submission(query["EID"], query["pipeline"], query["version"], int(query["date"]))
    records.write(query.archive, TABLES[query["mode"]], detections(query["payload"], sent))
    return Text(f"{sent.eid} - {sent.pipeline} - {sent.version} - {query['date']} - Uploaded!")


def give_out(query: Query) -> Rows:
    """Return stored detections of a pipeline: of a day, of days that begin so, of a range of days, or all."""
    schema = schema_of(query["pipeline"])
    columns = check_columns(query["columns"], schema.names)
    if columns is not None:
        schema = schema.empty_table().select(list(columns)).schema
    most = query.config.api.max_rows
    found = records.read(query.archive, TABLES[query["mode"]], _keys(query["pipeline"], query["dates"]))
    rows = [fields for _, fields in islice(found, most + 1)]
    chosen = ({name: row.get(name) for name in schema.names} for row in rows[:most])
    return Rows(records.as_tables(chosen, schema), is_cut=len(rows) > most)


def _keys(pipeline: str, dates: str) -> KeyRange:
    if _DAYS.fullmatch(dates) is None:
        raise RequestError("`dates` must be YYYYMMDD, the beginning of one, YYYYMMDD:YYYYMMDD, or *.\n")
    mark = f"{part(pipeline)}_"
    first, _, last = dates.strip("*").partition(":")
    return KeyRange((mark + first).encode(), prefix_range((mark + (last or first)).encode()).stop)


_PIPELINE = Argument(
    "pipeline", "which pipeline", "choice", required=True, choices=tuple(PIPELINES), example="ssopipe"
)  # fmt: skip
_MODE = Argument("mode", "sandbox: for trials", "choice", default="production", choices=tuple(TABLES))

ROUTES = (
    Route(
        "euclidin",
        "Upload detections of moving objects by a pipeline of Euclid (with a token)",
        take_in,
        (
            Argument("EID", "identifier of the file", required=True, longest=40),
            _PIPELINE,
            Argument("version", "version of the pipeline", required=True, longest=40),
            Argument("date", "YYYYMMDD", required=True, longest=20),
            Argument("payload", "the file: a header, then lines of values, blanks between", "upload", required=True),
            _MODE,
        ),
        methods=("POST",),
        generations=("historic",),
        group="Euclid",
        has_rows=False,
    ),
    Route(
        "eucliddata",
        "Get detections of moving objects by a pipeline of Euclid",
        give_out,
        (
            _PIPELINE,
            Argument(
                "dates", "YYYYMMDD, the beginning of one, YYYYMMDD:YYYYMMDD, or * for all", required=True, example="*",
                longest=20,
            ),
            Argument(
                "columns", "columns to return, separated by commas; all where absent", "columns",
                longest=LONGEST_COLUMNS,
            ),
            _MODE,
        ),
        generations=("historic",),
        group="Euclid",
    ),
)  # fmt: skip
