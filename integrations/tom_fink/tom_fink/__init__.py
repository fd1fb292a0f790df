"""Fink alerts in TOM Toolkit: queries, light curves and alert streams."""

__version__ = "3.0.0"
