"""The SIMBAD type at the position of an alert: the column ``cdsxmatch``."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from fink_broker.config import Config
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch import local_types
from fink_broker.science.crossmatch.columns import POSITION
from fink_broker.science.crossmatch.local_types import LocalTypes
from fink_broker.science.crossmatch.provider import Chain, NoProvider, Provider
from fink_broker.science.crossmatch.service import SIMBAD, XMatchService
from fink_broker.science.module import Column, Module, Outputs

LABEL = "main_type"
NO_MATCH = "Unknown"


def build(config: Config) -> Module:
    """Return the module."""
    settings = config.crossmatch

    def compute(batch: AlertBatch) -> Outputs:
        labels = chain(settings.model_dump_json()).labels(batch.numbers("ra"), batch.numbers("dec"))
        return {"cdsxmatch": pa.array(labels.tolist(), pa.string())}

    def prepare() -> None:
        if "local" in settings.simbad:
            local_types.load()

    output = Column(
        "cdsxmatch",
        pa.string(),
        "",
        "SIMBAD main type, nearest within 1″; 'Fail' or 'Fail <status>' where nobody could be asked",
        NO_MATCH,
    )
    return Module(
        "cdsxmatch", "1", "Wenger et al. 2000, A&AS 143, 9; Pineau et al. 2020", POSITION, (output,), compute, prepare
    )


@lru_cache(maxsize=4)
def chain(settings: str) -> Chain:
    """Return the chain of providers for these settings (JSON), one a process: it keeps answers and failures."""
    configured = CrossmatchConfig.model_validate_json(settings)
    return Chain([_provider(kind, settings) for kind in configured.simbad], LABEL, NO_MATCH)


def _provider(kind: str, settings: str) -> Provider:
    if kind == "service":
        return service(settings)
    return LocalTypes(LABEL) if kind == "local" else NoProvider((LABEL,))


@lru_cache(maxsize=4)
def service(settings: str) -> XMatchService:
    """Return the service client of this process for these settings (JSON); it counts its failures."""
    return XMatchService(SIMBAD, CrossmatchConfig.model_validate_json(settings))
