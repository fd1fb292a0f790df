"""Rows of an answer as JSON, CSV, Parquet or VOTable: Arrow tables in, bytes out, some at a time."""

from fink_broker.portal.formats.formats import FORMATS, Format, pieces_of, with_text_identifiers

__all__ = ["FORMATS", "Format", "pieces_of", "with_text_identifiers"]
