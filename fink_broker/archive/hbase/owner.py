"""Whose the tables of an embedded HBase are: whatever answers at its port may be that of another broker.

A broker has a name, a random one kept beside the data of its HBase. The first to write leaves it in the database.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from fink_broker.archive.hbase.cells import RECORD_CELL
from fink_broker.archive.hbase.store import Store
from fink_broker.errors import ServiceError

#: Row of the table of schemas with the name of the broker; no schema has such an id.
OWNER_ROW = b"owner"


class Owner:
    """The broker as the database knows it.

    Parameters
    ----------
    folder : Path
        Where its name is kept: beside the data of its HBase, so that who removes both begins anew.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "owner"

    @property
    def name(self) -> str:
        """The name, chosen at random when it is first asked for."""
        if not self._path.is_file():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._path.with_name(f"owner-{uuid.uuid4().hex}")
            whole.write_text(uuid.uuid4().hex)
            try:
                self._path.hardlink_to(whole)  # of two who choose at once the first stays
            except FileExistsError:
                pass
            finally:
                whole.unlink()
        return self._path.read_text().strip()

    def require(self, store: Store, table: str) -> None:
        """Raise ServiceError unless the database is ours; one that is nobody's becomes ours.

        Parameters
        ----------
        store : Store
            The database.
        table : str
            Its table of schemas.

        Raises
        ------
        ServiceError
            If another broker writes to it.
        """
        (found,) = store.get(table, [OWNER_ROW], [RECORD_CELL])
        if found is None:
            store.put(table, [(OWNER_ROW, {RECORD_CELL: self.name.encode()})])
        elif found[RECORD_CELL] != self.name.encode():
            raise ServiceError(
                "The HBase that answers is another broker's, with alerts of its own.",
                "Set `hbase.embedded_port` and `hbase.embedded_zookeeper_port` in the configuration to ports that are "
                "free, or `hbase.tables` to another name.",
            )
