"""Warn of attributes that the tenant's data model does not have, and of values that don't say what theirs means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldenthread.client import DataModel

__all__ = ["warn_of_unknown_attributes", "warn_of_unreadable_values"]


def warn_of_unknown_attributes(model: DataModel, names: Iterable[str], consequence: str) -> None:
    """Warn of each name that is no attribute, with what comes of it and the attribute that is perhaps meant."""
    from goldenthread.cli import output

    declared = [definition.name for definition in model.attributes]
    for name in sorted(set(names) - set(declared)):
        close = get_close_matches(name, declared, n=1)
        hint = f"perhaps {close[0]} is meant" if close else "`goldenthread model show` lists those it has"
        output.warn(f"The data model has no attribute {name}, so {consequence}; {hint}.")


def warn_of_unreadable_values(model: DataModel, attributes: Mapping[str, Sequence[str]]) -> None:
    """Warn of each attribute with a value that is no date, email address or phone number, though it means one."""
    from goldenthread.cli import output
    from goldenthread.graph.model import SemanticType
    from goldenthread.resolver.normalise.reading import is_readable

    examples = {
        SemanticType.BIRTH_DATE: "a date is written as 1980-12-31",
        SemanticType.EMAIL: "an email is written as ann@example.org",
        SemanticType.PHONE: "a phone number is written as +1 212 555 0100",
    }
    for definition in model.attributes:
        kind = SemanticType(definition.type)
        if not all(is_readable(kind, text, model.default_country) for text in attributes.get(definition.name, ())):
            output.warn(f"What {definition.name} says could not be read, so it hardly counts; {examples[kind]}.")
