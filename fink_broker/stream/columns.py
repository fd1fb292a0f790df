"""Columns the jobs add to those of a packet, and which of them stay in the house."""

from fink_broker.filters.filter import Output
from fink_broker.science.outcome import OUTCOMES
from fink_broker.science.registry import known_columns
from fink_broker.stream.enrich import ENDED, STARTED

#: columns that no message carries
PRIVATE = ("origin", "night", *OUTCOMES)
#: columns every message has, whatever is asked for
ALWAYS = ("objectId", "candid", "candidate")
IMAGES = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
HISTORIES = ("prv_candidates", "fp_hists")
#: columns that the forms of a message lack
LEFT_OUT: dict[Output, tuple[str, ...]] = {"full": (), "light_curve": IMAGES, "thin": (*IMAGES, *HISTORIES)}
#: column of messages with the exposure time as text, for clients that know no Julian date
TIMESTAMP = "timestamp"

#: names, in lower case, of columns that jobs add to those of a packet, whatever science modules run
ADDED_COLUMNS = frozenset(
    name.lower()
    for name in (
        *PRIVATE,
        *known_columns(),
        "cut",
        "topics",
        STARTED,
        ENDED,
        "brokerIngestTimestamp",
        "fink_broker_version",
        "fink_science_version",
        TIMESTAMP,
    )
)
