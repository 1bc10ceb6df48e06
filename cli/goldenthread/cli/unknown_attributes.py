"""Warn of attributes that the tenant's data model does not have: most likely a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldenthread.client import Client

__all__ = ["warn_of_unknown_attributes"]


def warn_of_unknown_attributes(client: Client, names: Iterable[str], consequence: str) -> None:
    """Warn of each name that is no attribute, with what comes of it and the attribute that is perhaps meant."""
    from goldenthread.cli import output

    declared = [definition.name for definition in client.get_data_model().attributes]
    for name in sorted(set(names) - set(declared)):
        close = get_close_matches(name, declared, n=1)
        hint = f"perhaps {close[0]} is meant" if close else "`goldenthread model show` lists those it has"
        output.warn(f"The data model has no attribute {name}, so {consequence}; {hint}.")
