"""Conditions in SQL on tables of alerts: parsed once, checked against a schema, evaluated with Arrow."""

from fink_broker.filters.sql.rule import SqlRule

__all__ = ["SqlRule"]
