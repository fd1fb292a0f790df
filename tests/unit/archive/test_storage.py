"""Listings of folders that others make and remove at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fink_broker.archive.storage import Storage


class Changing:
    """A file system whose first listing meets a folder that is made meanwhile, as Arrow then tells."""

    def __init__(self, files: Any) -> None:
        self._files, self.asked = files, 0

    def get_file_info(self, selector: Any) -> Any:
        """Fail once."""
        self.asked += 1
        if self.asked == 1:
            raise FileNotFoundError(selector.base_dir)
        return self._files.get_file_info(selector)


def test_a_listing_that_meets_a_change_looks_again(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.json").write_text("{}")
    for look, found in (
        (lambda storage: storage.folders(""), ["a"]),
        (lambda storage: [info.base_name for info in storage.find("", ".json")], ["b.json"]),
        (lambda storage: [info.base_name for info in storage.listing("")], ["a", "b.json"]),
    ):
        storage = Storage(str(tmp_path))
        storage.files = changing = Changing(storage.files)
        assert look(storage) == found
        assert changing.asked == 2


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "none"))
    assert (storage.find("x"), storage.folders(""), storage.listing("y")) == ([], [], [])
