"""Read what is kept of a record by the data model of now: an attribute may have got another type since the record came in."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from goldenthread.graph.model import AttributeValue, DataModel, RecordContent, SemanticType

__all__ = ["Typing", "typed", "typing_of"]


class Typing(Struct, frozen=True):
    """The types of the attributes that a data model knows, and a number that two data models share when they know the same."""

    types: Mapping[str, SemanticType]
    mark: int


def typing_of(model: DataModel) -> Typing:
    """Say as what a data model reads values."""
    types = model.types
    said = "\0".join(f"{name}\0{int(type)}" for name, type in sorted(types.items()))
    return Typing(types, int.from_bytes(blake2b(said.encode(), digest_size=7).digest()))


def typed(content: RecordContent, typing: Typing) -> RecordContent:
    """Give each value the type that its attribute has by now; the same content when all have it.

    A text stays what it was where its attribute now names relationships: it was not checked to be one.
    """
    types = typing.types
    if all(types.get(one.attribute, one.type) is one.type for one in content.attributes):
        return content
    return replace(content, attributes=tuple(_typed(one, types.get(one.attribute, one.type)) for one in content.attributes))


def _typed(value: AttributeValue, type: SemanticType) -> AttributeValue:
    is_same = type is value.type or SemanticType.RELATIONSHIP in (type, value.type)
    return value if is_same else AttributeValue(value.attribute, type, value.value)
