"""The section of the TOM that `fink start tom` runs."""

from __future__ import annotations

from pydantic import Field

from fink_broker.config.section import Section


class TomConfig(Section):
    """The TOM (Target and Observation Manager) that follows topics on this machine."""

    host: str = Field("127.0.0.1", description="address the TOM listens at; 0.0.0.0: reachable from outside")
    port: int = Field(8020, ge=1024, le=65535, description="port the TOM listens at")
    topics: list[str] = Field(
        [
            "sn_candidates",
            "early_sn_candidates",
            "kn_candidates",
            "early_kn_candidates",
            "rate_based_kn_candidates",
            "microlensing_candidates",
            "fast_riser_candidates",
            "tns_match",
        ],
        min_length=1,
        description="filters whose topics become lists of targets, each alert a target with its light curve",
    )
