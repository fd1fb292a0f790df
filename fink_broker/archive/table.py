"""A table of alerts: plain Parquet by observing night, filled batch by batch, each batch all or nothing.

How a batch comes in, and what a kill -9 at any instant leaves behind:

1. Parquet is written to ``_staging/<commit>/`` — a kill leaves rubbish there; the same batch overwrites it.
2. Files move to ``night=…/<commit>-<k>.parquet`` — a kill leaves files without a commit; the staging folder
   tells which batches were open, and ``recover`` removes what they left before the job goes on.
3. ``_commits/…/<number>-<commit>.json`` is renamed into place — from here on the batch exists, once.
4. The staging folder goes.

The name of a batch depends only on what it takes in (its streaming query and number, or the first commit of the table
before it), so running it again replaces, never adds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pyarrow.parquet as pq

from fink_broker.archive.commits import Commit, CommitLog, DataFile
from fink_broker.archive.merged_night import MergedNights
from fink_broker.archive.storage import Storage

STAGING = "_staging"
SCHEMAS = "_schemas"


class AlertTable:
    """A Parquet table with a commit log, whose past nights may be merged.

    Parameters
    ----------
    location : str
        Its folder, local or a URI.

    Attributes
    ----------
    storage : Storage
        The folder.
    log : CommitLog
        What each batch brought.
    merged : MergedNights
        The nights that consist of merged files. `reading` gives the alerts of a night, merged or not.
    """

    def __init__(self, location: str) -> None:
        self.storage = Storage(location)
        self.log = CommitLog(self.storage)
        self.merged = MergedNights(self.storage)

    def create(self) -> None:
        """Make the folders of the table."""
        self.storage.make_folder("")
        self.log.create()

    def staging(self, commit_id: str) -> str:
        """Return the folder into which a batch is written before it is committed, as Spark opens it."""
        return self.storage.uri(f"{STAGING}/{commit_id}")

    def staged(self, commit_id: str) -> list[str]:
        """Return the staged Parquet files of a batch, relative to the table, in the order of their names."""
        prefix = f"{self.storage.root}/"
        found = self.storage.find(f"{STAGING}/{commit_id}", ".parquet", recursive=True)
        return [info.path.removeprefix(prefix) for info in found if "/_" not in info.path.rpartition(STAGING)[2]]

    def publish(self, commit_id: str) -> list[DataFile]:
        """Move the staged files of a batch to their final names and return them."""
        files = []
        staged = self.staged(commit_id)
        for partition in sorted({path.split("/")[-2] for path in staged}):
            self.storage.make_folder(partition)
        for number, path in enumerate(staged):
            with self.storage.files.open_input_file(f"{self.storage.root}/{path}") as stream:
                rows = pq.read_metadata(stream).num_rows
                size = stream.size()
            if rows == 0:
                continue
            partition = path.split("/")[-2]
            target = f"{partition}/{commit_id}-{number}.parquet"
            self.storage.move(path, target)
            files.append(DataFile(target, partition.partition("=")[2], rows, size))
        return files

    def commit(self, commit: Commit) -> None:
        """Make the batch exist, and clear its staging folder."""
        self.log.write(commit)
        self.discard(commit.id)

    def discard(self, commit_id: str) -> None:
        """Remove what was staged for a batch."""
        self.storage.remove_folder(f"{STAGING}/{commit_id}")

    def recover(self, committed: CommitLog | None = None) -> list[str]:
        """Clear what a killed process left half-done; return the ids of the unfinished batches.

        Parameters
        ----------
        committed : CommitLog, optional
            The log that tells which batches exist, where it is not the table's own.
        """
        log = committed or self.log
        unfinished = []
        for commit_id in self.storage.folders(STAGING):
            if not log.has(commit_id):
                self._remove_unfinished(commit_id)
                unfinished.append(commit_id)
            self.discard(commit_id)
        return unfinished

    def keep_schema(self, schema: str) -> str:
        """Keep the JSON text of a schema of the table's files beside them, once; return its name."""
        name = hashlib.sha256(schema.encode()).hexdigest()[:12]
        self.storage.make_folder(SCHEMAS)
        if not self.storage.exists(f"{SCHEMAS}/{name}.json"):
            self.storage.write_atomically(f"{SCHEMAS}/{name}.json", schema.encode())
        return name

    def read_schema(self, name: str) -> str:
        """Return the JSON text of a schema kept under this name."""
        return self.storage.read(f"{SCHEMAS}/{name}.json").decode()

    def uris(self, files: Iterable[DataFile]) -> list[str]:
        """Return what Spark opens for the files of commits."""
        return [self.storage.uri(file.path) for file in files]

    def _remove_unfinished(self, commit_id: str) -> None:
        for partition in self.storage.folders(""):
            if "=" not in partition:
                continue
            for info in self.storage.find(partition, ".parquet"):
                if info.base_name.startswith(f"{commit_id}-"):
                    self.storage.remove(f"{partition}/{info.base_name}")
