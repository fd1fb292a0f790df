"""Modules of catalogues that are asked for by a list of providers: the service, a catalogue on disk, nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa

from fink_broker.config import Config
from fink_broker.config.model import CrossmatchConfig
from fink_broker.errors import ConfigError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch.catalogue_file import CatalogueFile, read_catalogue
from fink_broker.science.crossmatch.position import POSITION
from fink_broker.science.crossmatch.provider import Answer, Chain, LocalProvider, NoProvider, Provider
from fink_broker.science.crossmatch.service import XMatchHost
from fink_broker.science.crossmatch.tables import ServiceTable
from fink_broker.science.module import FAILED, SKIPPED, Column, Module, Outputs


@dataclass(frozen=True)
class OnDisk:
    """What answers on disk.

    Parameters
    ----------
    provider : Provider
        Answers.
    load : callable
        Loads the catalogues, once a process.
    digests : callable
        Returns the sha256 of their files.
    """

    provider: Provider
    load: Callable[[], object]
    digests: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, eq=False)  # each is itself alone, and quickly found in a cache
class Asked:
    """A catalogue and the columns made of it.

    Parameters
    ----------
    key : str
        Key of the list of providers in the section ``crossmatch`` of the configuration.
    table : ServiceTable
        The catalogue at the service; every provider answers with its columns, within its radius.
    on_disk : callable
        From the section ``crossmatch`` to what answers on disk.
    outputs : tuple of Column
        What the module gives.
    read : callable
        From an answer to these columns.
    """

    key: str
    table: ServiceTable
    on_disk: Callable[[CrossmatchConfig], OnDisk]
    outputs: tuple[Column, ...]
    read: Callable[[Answer], Outputs]


def chained_module(name: str, reference: str, asked: Asked, config: Config) -> Module:
    """Return the module of a catalogue.

    Parameters
    ----------
    name, reference : str
        Of the module.
    asked : Asked
        The catalogue; a constant, for it tells chains apart.
    config : Config
        Whose section ``crossmatch`` says who is asked.

    Raises
    ------
    ConfigError
        If ``local`` is to be asked, and the file is not named.
    """
    settings = config.crossmatch
    # the settings as text: a key that can be hashed, made once and not at every batch
    chain = partial(chain_of, asked, settings.model_dump_json())
    on_disk = asked.on_disk(settings) if "local" in getattr(settings, asked.key) else None

    def compute(batch: AlertBatch) -> Outputs:
        ra, dec = batch.numbers("ra"), batch.numbers("dec")
        answer = chain().match(ra, dec)
        return {**asked.read(answer), SKIPPED: chain().skipped(ra, dec), FAILED: answer.failed & ~answer.known}

    def prepare() -> None:
        chain()
        if on_disk is not None:
            on_disk.load()

    def digests() -> tuple[str, ...]:
        return () if on_disk is None else on_disk.digests()

    return Module(name, "1", reference, POSITION, asked.outputs, compute, prepare, digests)


@lru_cache(maxsize=32)
def chain_of(asked: Asked, settings: str) -> Chain:
    """Return the chain of providers for settings (JSON), one a process: the service keeps answers and failures."""
    configured = CrossmatchConfig.model_validate_json(settings)

    def provider(kind: str) -> Provider:
        if kind == "service":
            return host_of(settings).table(asked.table)
        return asked.on_disk(configured).provider if kind == "local" else NoProvider(asked.table.columns)

    return Chain([provider(kind) for kind in getattr(configured, asked.key)], asked.table.columns)


@lru_cache(maxsize=8)
def host_of(settings: str) -> XMatchHost:
    """Return the service of this process for settings (JSON); its tables count their failures."""
    return XMatchHost(CrossmatchConfig.model_validate_json(settings))


def file_on_disk(key: str, table: ServiceTable) -> Callable[[CrossmatchConfig], OnDisk]:
    """Return what answers from a file of the operator's.

    Parameters
    ----------
    key : str
        Key of the list of providers; ``<key>_file`` names the file.
    table : ServiceTable
        Its columns are those of the file beside the position.
    """

    def on_disk(settings: CrossmatchConfig) -> OnDisk:
        path = getattr(settings, f"{key}_file")
        wanted = f"a Parquet or CSV file with ra, dec (degrees), {', '.join(table.columns.names)}"
        if not path:
            raise ConfigError(
                f"crossmatch.{key} names 'local', but crossmatch.{key}_file names no file.",
                f"Set crossmatch.{key}_file to {wanted}, or take 'local' out of crossmatch.{key}.",
            )
        file = operator_file(path, key, table, wanted)
        provider = LocalProvider(file.current, table.columns, table.radius_arcsec)
        return OnDisk(provider, file.current, lambda: (file.digest(),))

    return on_disk


@lru_cache(maxsize=16)
def operator_file(path: str, key: str, table: ServiceTable, wanted: str) -> CatalogueFile:
    """Return the reader of a file, one a process."""
    remedy = f"Set crossmatch.{key}_file to {wanted}."
    return CatalogueFile(Path(path), partial(read_catalogue, columns=table.columns), f"catalogue of {key}", remedy)


def text_or(column: pa.ChunkedArray, no_match: str) -> pa.Array:
    """Return texts with the value of no match in the place of null."""
    return column.combine_chunks().fill_null(no_match)
