"""Read and write survivorship rules as plain values: the words of a file for the enums of the contract."""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from goldenthread.client.messages import Json, to_dict
from goldenthread.v1.golden_record_service_pb2 import SurvivorshipRules

__all__ = ["plain_survivorship_rules", "survivorship_rules"]


def survivorship_rules(plain: dict[str, Json]) -> SurvivorshipRules:
    """Read survivorship rules from plain values; the words of enums as in docs, as `to_dict` writes them, or as numbers.

    Raises ValueError, naming the place and what could stand there, when a field, a word or a kind of value is not known.
    """
    checked = {name: _read(value, _field(SurvivorshipRules.DESCRIPTOR, name, ""), name) for name, value in plain.items()}
    try:
        return json_format.ParseDict(checked, SurvivorshipRules())
    except json_format.ParseError:
        raise ValueError("a number in it is out of all bounds") from None


def plain_survivorship_rules(rules: SurvivorshipRules) -> dict[str, Json]:
    """Write survivorship rules as plain values, as `survivorship_rules` reads them."""
    plain = to_dict(rules)
    if not isinstance(plain, dict):
        return {}
    plain.pop("name", None)
    return {name: _written(value, _field(SurvivorshipRules.DESCRIPTOR, name, "")) for name, value in plain.items()}


def _field(message: Descriptor, name: str, path: str) -> FieldDescriptor:
    """Find a field of a message that is at a path."""
    if found := message.fields_by_name.get(name):
        return found
    names = ", ".join(field.name for field in message.fields if (path, field.name) != ("", "name"))
    raise ValueError(f"{f'{path} has' if path else 'there is'} no field {name}; there are {names}")


def _read(plain: Json, field: FieldDescriptor, path: str) -> Json:
    """Check one value of a field, or all of a list, and complete the words of enums."""
    if plain is None:
        return None
    if not field.is_repeated:
        return _read_one(plain, field, path)
    if not isinstance(plain, list):
        raise ValueError(f"{path} must be a list")
    return [_read_one(one, field, f"{path}[{place}]") for place, one in enumerate(plain)]


def _read_one(plain: Json, field: FieldDescriptor, path: str) -> Json:
    if field.message_type is not None:
        if not isinstance(plain, dict):
            raise ValueError(f"{path} must have fields of its own: {', '.join(one.name for one in field.message_type.fields)}")
        return {name: _read(value, _field(field.message_type, name, path), f"{path}.{name}") for name, value in plain.items()}
    if field.enum_type is not None:
        return _read_word(plain, field.enum_type, path)
    if field.type == FieldDescriptor.TYPE_STRING:
        if not isinstance(plain, str):
            raise ValueError(f"{path} must be a text; put it in quotes")
    elif isinstance(plain, bool) or not isinstance(plain, int):
        raise ValueError(f"{path} must be a whole number")
    return plain


def _read_word(plain: Json, words: EnumDescriptor, path: str) -> Json:
    if isinstance(plain, int) and not isinstance(plain, bool):
        return plain
    whole = str(plain).upper().removeprefix(_prefix(words))
    if not isinstance(plain, str) or (value := words.values_by_name.get(_prefix(words) + whole)) is None:
        known = ", ".join(one.name.removeprefix(_prefix(words)).lower() for one in words.values if one.number)
        raise ValueError(f"{path} is none of {known}")
    return value.name


def _written(plain: Json, field: FieldDescriptor) -> Json:
    """Shorten the words of enums in a value of a field."""
    if isinstance(plain, list):
        return [_written(one, field) for one in plain]
    if isinstance(plain, dict) and field.message_type is not None:
        return {name: _written(value, field.message_type.fields_by_name[name]) for name, value in plain.items()}
    if isinstance(plain, str) and field.enum_type is not None:
        return plain.removeprefix(_prefix(field.enum_type)).lower()
    return plain


def _prefix(words: EnumDescriptor) -> str:
    """Tell what all words of an enum begin with, as CRITERION_."""
    return words.values_by_number[0].name.removesuffix("UNSPECIFIED")
