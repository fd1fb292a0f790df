"""Quality cuts and science: from raw alerts to enriched ones, as pure functions on DataFrames."""

from __future__ import annotations

import time
from functools import lru_cache

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.config.model import QualityConfig
from fink_broker.science.registry import Pipeline, build_pipeline

CUT = "cut"
STARTED, ENDED = "brokerStartProcessTimestamp", "brokerEndProcessTimestamp"
_TIME = pa.timestamp("us", tz="UTC")


def quality_cut(quality: QualityConfig) -> Column:
    """Return the name of the first cut an alert fails, or null; a missing value fails."""
    rb = F.col("candidate.rb")
    return (
        F.when(F.coalesce(F.col("candidate.nbad") > quality.nbad_max, F.lit(True)), "nbad")
        .when(F.coalesce(F.isnan(rb) | (rb < quality.rb_min), F.lit(True)), "rb")
        .when(F.col("candidate.fid").isin(quality.drop_fid), "fid")
    )


def enrich(alerts: DataFrame, config: Config) -> DataFrame:
    """Add the science columns to alerts that passed the cuts.

    All modules run in one trip to Python, which takes only the columns they need. Images stay in the JVM but for the
    few alerts of which a module wants to see them.

    Parameters
    ----------
    alerts : DataFrame
        Rows of the raw table.

    Returns
    -------
    DataFrame
        The packet's fields, versions, science columns, what became of the alert in each module, and the times at
        which the processing of the alert's batch began and ended.
    """
    pipeline = build_pipeline(config)
    science = _science_udf(config, pipeline)(_inputs(pipeline)).alias("science")
    hidden = {"publisher", "night", *(name.lower() for name in pipeline.output_names)}
    packet = [name for name in alerts.columns if name.lower() not in hidden]
    enriched = alerts.select(*packet, "night", science)
    return enriched.select(
        *packet,
        F.lit("Fink").alias("publisher"),
        F.lit(__version__).alias("fink_broker_version"),
        F.lit(__version__).alias("fink_science_version"),
        "science.*",
        "night",
    )


def _inputs(pipeline: Pipeline) -> Column:
    """Return the struct of columns that the modules need."""
    return F.struct(
        *[F.col(name) for name in pipeline.root_fields],
        *[F.col(f"candidate.{name}").alias(name) for name in pipeline.candidate_fields],
        *[F.col(f"prv_candidates.{name}").alias(f"prv_{name}") for name in pipeline.history_fields],
        *[
            F.when(F.expr(where), F.col(f"cutout{name}.stampData")).alias(f"cutout{name}")
            for name, where in pipeline.cutouts.items()
        ],
    )


def output_type(pipeline: Pipeline) -> pa.StructType:
    """Return the type of what one trip to Python brings back."""
    times = [pa.field(STARTED, _TIME), pa.field(ENDED, _TIME)]
    return pa.struct([times[0], *pipeline.output_type, times[1]])


def _science_udf(config: Config, pipeline: Pipeline):  # type: ignore[no-untyped-def]  # pyspark names no type for it
    settings = config.model_dump_json()

    def science(batch: pa.Array) -> pa.Array:
        return _run(settings, batch)

    return F.arrow_udf(science, returnType=from_arrow_type(output_type(pipeline)))


@lru_cache(maxsize=1)
def _pipeline(settings: str) -> Pipeline:
    """Return the pipeline of this worker: models and catalogues are loaded once."""
    return build_pipeline(Config.model_validate_json(settings))


def _run(settings: str, batch: pa.StructArray) -> pa.StructArray:
    pipeline = _pipeline(settings)
    started = time.time()
    columns = pipeline.run(batch).flatten()
    ended = time.time()
    kind = output_type(pipeline)
    arrays = [_moment(started, len(batch)), *columns, _moment(ended, len(batch))]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))


def _moment(seconds: float, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(int(seconds * 1e6), pa.int64()), length).cast(pa.timestamp("us")).cast(_TIME)
