"""Schemas that a decoder must not follow, since they come from whoever sent the packet.

A schema that contains itself makes a decoder descend until the process dies; elements or records that take no bytes
make it fill the memory from a packet of a few bytes. No survey writes either.
"""

from __future__ import annotations

from typing import Any

from fink_broker.alert.schema import Schema
from fink_broker.errors import DataError

_DEEPEST = 32


def check_decodable(schema: Schema) -> None:
    """Check that the size of what a schema decodes to is bounded by the size of the data.

    Raises
    ------
    DataError
        If it contains itself, is nested deeper than 32 levels, has parts that take no bytes, or is malformed.
    """
    _Walk().takes_bytes(schema, ())


class _Walk:
    """One walk through a schema. Every type takes at least a byte, else it is refused; only ``null`` takes none."""

    def takes_bytes(self, of_type: Any, inside: tuple[str, ...]) -> bool:
        """Check a type and return whether its values take bytes; `inside` names the types around it."""
        if len(inside) > _DEEPEST:
            raise DataError(f"The writer's schema is nested deeper than {_DEEPEST} levels.")
        if isinstance(of_type, list):
            for branch in of_type:
                self.takes_bytes(branch, (*inside, ""))
            return True  # the number of the branch
        if isinstance(of_type, str):
            # a namespace may be given or inherited: the last part of a name decides
            if of_type.rpartition(".")[2] in inside:
                raise DataError(f"The writer's schema contains itself: {of_type[:60]}.")
            return of_type != "null"
        if not isinstance(of_type, dict) or "type" not in of_type:
            raise DataError("The writer's schema is not valid: it has a field without a type.")
        return self._definition_takes_bytes(of_type, inside)

    def _definition_takes_bytes(self, definition: Schema, inside: tuple[str, ...]) -> bool:
        kind, name = definition["type"], str(definition.get("name", "")).rpartition(".")[2]
        if kind in ("record", "error"):
            fields = definition.get("fields")
            if not isinstance(fields, list):
                raise DataError("The writer's schema is not valid: a record has no fields.")
            # a list, so that every field is checked
            if not any([self.takes_bytes(field, (*inside, name)) for field in fields]):
                raise DataError(f"The writer's schema has a record that takes no bytes: {name[:60]}.")
        elif kind == "array":
            if not self.takes_bytes(definition.get("items"), (*inside, "")):
                raise DataError("The writer's schema has an array of elements that take no bytes.")
        elif kind == "map":
            self.takes_bytes(definition.get("values"), (*inside, ""))
        elif kind == "fixed":
            if not isinstance(definition.get("size"), int) or definition["size"] < 1:
                raise DataError(f"The writer's schema has a type of a fixed size that is no size: {name[:60]}.")
        elif kind != "enum":
            return self.takes_bytes(kind, (*inside, ""))
        return True
