"""``fink init``: create the folders of the data and of the state, fetch the Java parts."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from fink_broker.archive.layout import Layout
from fink_broker.cli.configuration import load
from fink_broker.config.model import Config
from fink_broker.errors import ServiceError
from fink_broker.service import java_parts
from fink_broker.service.java import find_java


def init(conf: str | None) -> int:
    """Carry out ``fink init``; what is there already stays as it is.

    Raises
    ------
    ServiceError
        If a folder cannot be created.
    """
    config = load(conf).config
    create_folders(config)
    print(f"Data will be stored under {config.storage.online}")
    find_java()
    console = Console(stderr=True)
    for name in java_parts.sets():
        java_parts.ensure(name, console)
    return 0


def create_folders(config: Config) -> None:
    """Create the folders of the state, and of the data where they are on this machine."""
    folders = [str(config.storage.state)]
    if "://" not in config.storage.online:  # elsewhere (HDFS) the jobs create them through Spark
        folders += Layout(config.storage.online).folders()
    for folder in folders:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(
                f"The folder {folder} cannot be created: {error.strerror or error}.",
                "Change storage.online or storage.state.",
            ) from error
