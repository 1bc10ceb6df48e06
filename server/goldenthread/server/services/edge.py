"""Check messages at the edge: the rules that the protos declare, and that text is text."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.message import Message
from protovalidate import Validator

from goldenthread.server.errors import InvalidField

__all__ = ["check", "is_valid", "page_size", "page_start", "page_token"]

_validator = Validator()
_DEFAULT_PAGE, _MAX_PAGE = 100, 1_000
_PLAINLY = {
    "must be at least 1 characters": "must not be empty",
    "must contain at least 1 item(s)": "must not be empty",
    "must contain at least 2 item(s)": "must name two or more",
    "does not match regex pattern `^[A-Za-z0-9][A-Za-z0-9._-]*$`": (
        "must be of letters, digits, dots, dashes and underscores, and begin with a letter or digit"
    ),
    "does not match regex pattern `^([0-9]{1,18}(-[0-9]{1,9})?)?$`": "must be a revision, or revision-index, as 120-3",
}
"""What the checker says, in words that fit one field."""


def check(message: Message, prefix: str = "") -> None:
    """Hold a message to the field rules of its proto.

    Raises:
        InvalidField: the first rule that is broken, with the path of its field.
    """
    violations = _validator.collect_violations(message, fail_fast=True)
    if violations:
        violation = violations[0].proto
        steps = violation.field.elements if violation.field is not None else ()
        path = ".".join(
            f"{step.field_name}[{step.subscript.value}]"
            if step.subscript is not None and step.subscript.field == "index"
            else step.field_name
            for step in steps
        )
        said = _PLAINLY.get(violation.message, violation.message) or violation.rule_id
        raise InvalidField(f"{prefix}{path}" or "request", said)


def is_valid(message: Message) -> bool:
    """Say whether a message and everything in it holds to the field rules; for a large one this costs half of many checks."""
    return not _validator.collect_violations(message, fail_fast=True)


def page_size(asked: int) -> int:
    """Say how many a page holds: 100 when not asked, 1,000 at most."""
    return min(asked, _MAX_PAGE) if asked else _DEFAULT_PAGE


def page_token(after: bytes) -> str:
    """Write where the next page starts; empty when there is none."""
    return after.hex()


def page_start(token: str, sizes: Collection[int] = (0, 16)) -> bytes:
    """Read where a page starts, in as many bytes as such a place has.

    Raises:
        InvalidField: it is no token of ours.
    """
    try:
        start = bytes.fromhex(token)
    except ValueError:
        raise InvalidField("page_token", "must be the next_page_token of the page before") from None
    if len(start) not in sizes:
        raise InvalidField("page_token", "must be the next_page_token of the page before")
    return start
