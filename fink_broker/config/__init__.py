"""Typed configuration: one model a section, loaded once, passed down."""

from fink_broker.config.loader import LoadedConfig, load_config
from fink_broker.config.model import Config

__all__ = ["Config", "LoadedConfig", "load_config"]
