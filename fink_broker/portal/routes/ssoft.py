"""``ssoft``: the monthly tables of solar system objects, from files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.errors import DataError
from fink_broker.portal.route import Answer, Argument, Document, Generation, Query, RequestError, Route, Rows
from fink_broker.portal.ssoft_columns import OF_FLAVOR, columns_of

DEFAULT_FLAVOR = "SHG1G2"
#: what the manual calls SOCCA
ALIASES = {"SSHG1G2": "SOCCA"}
FIRST_VERSION = "2023.07"
NOT_FOUND = 404
#: rows that are read at once
PIECE = 10_000
_VERSION = re.compile(r"\d{4}\.(0[1-9]|1[0-2])", re.ASCII)


def answer(query: Query) -> Answer:
    """Return a table, some of its rows, or what its columns are."""
    flavor, version = _flavor(query["flavor"], query.generation), _version(query["version"])
    if query["schema"]:
        columns = columns_of(flavor)
        return Document(columns if query.generation == "current" else {"args": columns})
    path = Path(query.config.api.ssoft_folder) / f"ssoft_{flavor}_{version}.parquet"
    return Rows(_tables(path, query), default_format="parquet", content_types={"parquet": "application/parquet"})


def _flavor(written: str, generation: Generation) -> str:
    names = [name for name in OF_FLAVOR if generation == "current" or name != "SOCCA"]
    flavor = ALIASES.get(written, written)
    if flavor not in names:
        raise RequestError(f"flavor needs to be in {names}\n")
    return flavor


def _version(written: str | None) -> str:
    if not written:
        return datetime.now(UTC).strftime("%Y.%m")
    if _VERSION.fullmatch(written) is None:
        raise RequestError("version needs to be YYYY.MM\n")
    if written < FIRST_VERSION:
        raise RequestError(f"version starts on {FIRST_VERSION}\n")
    return written


def _tables(path: Path, query: Query) -> Iterator[pa.Table]:
    """Give the rows of a file that were asked for, some at a time."""
    try:
        with pq.ParquetFile(path) as file:
            yield file.schema_arrow.empty_table()
            for batch in file.iter_batches(batch_size=PIECE, use_threads=False):
                rows = _chosen(pa.Table.from_batches([batch]), query)
                if len(rows):
                    yield rows
    except FileNotFoundError as error:
        raise RequestError(
            f"There is no table {path.stem}. Ask for another `version` (YYYY.MM).\n", NOT_FOUND
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"The table {path.name} cannot be read.", "Put it into api.ssoft_folder anew.") from error


def _chosen(rows: pa.Table, query: Query) -> pa.Table:
    name, number = query["sso_name"], query["sso_number"]
    if name:
        rows = _where(rows, "sso_name", pa.scalar(name))
    if number is not None:
        rows = _where(rows, "sso_number", pa.scalar(float(number)))
    return rows


def _where(rows: pa.Table, column: str, wanted: pa.Scalar) -> pa.Table:
    if column not in rows.column_names:
        return rows.slice(0, 0)
    return rows.filter(pc.equal(pc.cast(rows[column], wanted.type, safe=False), wanted))


ROUTES = (
    Route(
        "ssoft",
        "Get the Fink Flat Table: parameters of Solar System objects, from files made every month",
        answer,
        (
            Argument("sso_name", "official name of one object", longest=100),
            Argument("sso_number", "IAU number of one object", "integer", least=1),
            Argument("schema", "True: the columns of the table instead of it", "flag", default=False, example=True),
            Argument("flavor", "model: SHG1G2, HG1G2, HG, SOCCA", default=DEFAULT_FLAVOR),
            Argument("version", "month of the table, YYYY.MM, from 2023.07; this month where absent"),
        ),
        group="Solar System",
        cost=5,
    ),
)
