"""Say which field of a message can't be read: protobuf itself only says that the whole can't.

A request that is no protobuf at all, or whose text is not UTF-8, is turned down with the path of the field, as every other
invalid field is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from goldenthread.server.errors import InvalidField

__all__ = ["Malformed", "lenient", "unreadable_field"]

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}


class Malformed:
    """A request that could not be read, and why."""

    def __init__(self, error: InvalidField) -> None:
        self.error = error


class _Cut(Exception):
    """The bytes end, or make no sense, in the middle of a field."""


@cache
def lenient(message: Descriptor) -> Callable[[bytes], Message | Malformed]:
    """Make what reads requests of a type, so that one that can't be read comes out as `Malformed`."""

    message_class = GetMessageClass(message)

    def read_or_explain(data: bytes) -> Message | Malformed:
        try:
            return message_class.FromString(data)
        except (DecodeError, UnicodeDecodeError):
            return Malformed(unreadable_field(data, message))

    return read_or_explain


def unreadable_field(data: bytes, message: Descriptor) -> InvalidField:
    """Find the first field of a message that can't be read."""
    try:
        path = _find(data, message)
    except _Cut:
        path = ""
    if path:
        return InvalidField(path, "must be UTF-8 text")
    return InvalidField("request", f"is no {message.full_name} message")


def _find(data: bytes, message: Descriptor) -> str:
    """Walk the wire format (protobuf.dev/programming-guides/encoding) to the first text that is not UTF-8."""
    at, seen = 0, dict[int, int]()
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, at = _varint(data, at)
            continue
        if wire_type in _WIDTHS:
            at += _WIDTHS[wire_type]
            continue
        if wire_type != _BYTES:
            raise _Cut
        size, at = _varint(data, at)
        content, at = data[at : at + size], at + size
        if at > len(data):
            raise _Cut
        field = message.fields_by_number.get(number)
        if field is None:
            continue
        place = seen.get(number, 0)
        seen[number] = place + 1
        name = f"{field.name}[{place}]" if field.is_repeated else field.name
        if field.type == FieldDescriptor.TYPE_STRING and not _is_text(content):
            return name
        inner = _find(content, field.message_type) if field.message_type is not None else ""
        if inner:
            return f"{name}.{inner}"
    return ""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise _Cut
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _Cut


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
