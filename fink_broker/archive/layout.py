"""Which folder holds what, below the online data prefix.

::

    <online>/
      raw/       night=YYYYMMDD/<commit>-<k>.parquet   every decoded packet, whole
                 _commits/…/<number>-<commit>.json     what each batch brought, and its counts
      rejected/  date=YYYYMMDD/<commit>-<k>.parquet    packets that could not be used, whole, with the reason
                 _replayed/                            which of them were sent again
      science/   night=YYYYMMDD/…, _commits/…          packets that passed the cuts, with science columns
      topics/    _commits/…                            what went out on which topic, and what each filter took
      topics/    night=YYYYMMDD/…                      which topics each alert passed, and which filters failed on it
      archived/  _commits/…                            which batches of science are in HBase
      transfers/ <topic>.json                          what each data transfer sends
      checkpoints/<job>/                               where each job stands
      _services/ <host>-<service>.json                 what running services tell of themselves

Beside its ``night=`` folders a table has ``_merged/<night>.json`` for each merged night (`merged_night`), ``_retired/``
with lists of the files that have been merged away and go soon (`retiring`), and ``_merging/`` while it is merged.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Folders of one data prefix.

    Parameters
    ----------
    online : str
        Local folder or URI of a file system that Arrow and Spark both know.
    """

    online: str

    def table(self, name: str) -> str:
        """Return the folder of a table: ``raw``, ``rejected``, ``science``, ``topics`` or ``archived``."""
        return f"{self.online.rstrip('/')}/{name}"

    def checkpoint(self, job: str) -> str:
        """Return the folder in which a streaming job keeps where it stands."""
        return f"{self.online.rstrip('/')}/checkpoints/{job}"

    def folders(self) -> list[str]:
        """Return all folders that exist before the first alert."""
        return [self.table(name) for name in ("raw", "rejected", "science", "topics")] + [
            f"{self.online.rstrip('/')}/checkpoints"
        ]
