"""The first table of a FITS file, read column by column, whatever the file may claim of itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from astropy.io import fits

from fink_broker.errors import ConfigError
from fink_broker.filters.places.limited_file import Opened

MAGIC = b"SIMPLE  ="
#: Tables stand right behind the primary header; further parts are not searched.
_PARTS = 4


class FitsTable:
    """A table of a FITS file.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    hdu : astropy.io.fits.BinTableHDU
        The table.
    """

    def __init__(self, name: str, hdu: Any) -> None:
        self.name = name
        self._hdu = hdu
        self.columns: tuple[str, ...] = tuple(column for column in hdu.columns.names if column)
        if not self.columns:
            raise ConfigError(f"The table of '{name}' has no columns with names.", "Fetch it again.")

    def keyword(self, name: str) -> str:
        """Return a keyword of the header as text in upper case, empty if it is missing.

        Raises
        ------
        ConfigError
            If its card is damaged.
        """
        try:
            return str(self._hdu.header.get(name, "")).strip().upper()
        except fits.VerifyError as error:
            raise ConfigError(f"Keyword {name} of '{self.name}' cannot be read.", "Fetch the file again.") from error

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._hdu.header["NAXIS2"])

    def find(self, *names: str) -> str | None:
        """Return the first of some columns that is there, whatever its case; None if none is."""
        known = {column.upper(): column for column in reversed(self.columns)}
        return next((known[name] for name in names if name in known), None)

    def unit(self, column: str) -> str:
        """Return the unit of a column, empty if it has none."""
        return str(self._hdu.columns[column].unit or "")

    def values(self, column: str) -> np.ndarray:
        """Return a column, rows of several values one after the other.

        Raises
        ------
        ConfigError
            If it cannot be read.
        """
        try:
            values = np.ravel(self._hdu.data[column])
        except Exception as error:  # astropy raises whatever the damage leads to
            raise ConfigError(f"Column '{column}' of '{self.name}' cannot be read.", "Fetch it again.") from error
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def numbers(self, column: str) -> np.ndarray:
        """Return a column of numbers as float64.

        Raises
        ------
        ConfigError
            If it holds no numbers.
        """
        return self._of_kind(column, "fiu", "numbers").astype(float)

    def whole_numbers(self, column: str) -> np.ndarray:
        """Return a column of whole numbers as int64; see `numbers`."""
        return self._of_kind(column, "iu", "whole numbers").astype(np.int64)

    def _of_kind(self, column: str, kinds: str, told: str) -> np.ndarray:
        values = self.values(column)
        if values.dtype.kind not in kinds:
            raise ConfigError(f"Column '{column}' of '{self.name}' holds no {told}.", "Fetch the file again.")
        return values


@contextmanager
def first_table(opened: Opened) -> Iterator[FitsTable]:
    """Give the first table of a FITS file.

    Raises
    ------
    ConfigError
        If the file is no FITS, is cut short, or holds no table.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of damage is found below
        try:
            opened.file.seek(0)
            hdus = fits.open(opened.file, mode="readonly", memmap=True, disable_image_compression=True)
            table = _find_table(opened, hdus)
        except ConfigError:
            raise
        except Exception as error:  # astropy raises whatever the damage leads to
            raise ConfigError(f"'{opened.name}' is no FITS file, or damaged.", "Fetch it again.") from error
        yield table


def _find_table(opened: Opened, hdus: Any) -> FitsTable:
    for number in range(_PARTS):
        try:
            hdu = hdus[number]
        except IndexError:
            break
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
            # asked before any of it is read: a header may promise more rows than the memory holds
            end = hdu.fileinfo()["datLoc"] + int(hdu.header["NAXIS1"]) * int(hdu.header["NAXIS2"])
            if end > opened.size:
                raise ConfigError(f"'{opened.name}' is cut short: rows of its table are missing.", "Fetch it again.")
            return FitsTable(opened.name, hdu)
    raise ConfigError(f"'{opened.name}' holds no table.", "Give a FITS file whose first extension is a table.")
