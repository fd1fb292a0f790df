"""The samples of all services, of all hosts."""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache

from pyarrow import fs

from fink_broker.archive.storage import Storage
from fink_broker.config import Config
from fink_broker.metrics.sample import FOLDER, LONGEST_FILE, SUFFIX, ServiceSample, host_name, sample_path

log = logging.getLogger(__name__)

#: After so long a service that ended, or whose samples ended, is not told of any more.
KEPT_SECONDS = 7 * 86400.0
#: For so long a storage may take to remove a file.
ANSWER_SECONDS = 5.0
#: Most files that are read: there are about ten services a host.
MOST_FILES = 1000


def read_samples(config: Config) -> list[ServiceSample]:
    """Return the last sample of every service of every host, by host and name.

    A file that is damaged is left out, with one warning until it changes, and so is a service that ended a week ago. It
    never raises: who shows the samples also shows that there are none. A storage that is away is told once.

    Parameters
    ----------
    config : Config
        ``storage.online`` says where they are.
    """
    try:
        storage = Storage(config.storage.online)
        found = storage.find(FOLDER, SUFFIX)
    except (OSError, ValueError) as error:
        _warn_of_storage(config.storage.online, str(error))
        return []
    _warn_of_storage.cache_clear()
    oldest = time.time() - KEPT_SECONDS
    read = [sample for info in found[:MOST_FILES] if (sample := _read(storage, info)) is not None]
    return sorted((sample for sample in read if sample.sampled > oldest), key=lambda sample: (sample.host, sample.name))


def forget_sample(config: Config, name: str) -> None:
    """Remove the sample of a service of this host, so that nobody is told any more that it died.

    It never raises nor waits long: on a storage that is away the sample stays.

    Parameters
    ----------
    config : Config
        ``storage.online`` says where it is.
    name : str
        Name of the service.
    """

    def remove() -> None:
        try:
            Storage(config.storage.online).remove(sample_path(host_name(), name))
        except (OSError, ValueError) as error:
            log.warning("the sample of %s in %s cannot be removed: %s", name, config.storage.online, error)

    removing = threading.Thread(target=remove, name="forget", daemon=True)
    removing.start()
    removing.join(ANSWER_SECONDS)


def _read(storage: Storage, info: fs.FileInfo) -> ServiceSample | None:
    """Return the sample of a file, None if it is gone or is none."""
    try:
        if info.size is not None and info.size > LONGEST_FILE:
            raise ValueError(f"it is longer than {LONGEST_FILE:,} bytes")
        return ServiceSample.from_json(storage.read(f"{FOLDER}/{info.base_name}"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        _warn_of_file(info.path, info.mtime_ns, str(error))
        return None


# These are asked for at every look; what they have said they say again only of something else.


@lru_cache(maxsize=1)
def _warn_of_storage(online: str, why: str) -> None:
    log.warning("the samples of the services in %s cannot be read: %s", online, why)


@lru_cache(maxsize=MOST_FILES)
def _warn_of_file(path: str, changed: int | None, why: str) -> None:
    del changed
    log.warning("%s is no sample of a service and is left out: %s", path, why)
