"""Write a data model as YAML that people can edit and a server reads (`--set data_model=FILE`), and read it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldenthread.cli.errors import CommandError

if TYPE_CHECKING:
    from goldenthread.client import DataModel

__all__ = ["definition_rows", "from_yaml", "to_yaml"]

_HEADER = """\
# Attributes of records. A server reads this with --set data_model=FILE for new tenants; `goldenthread model update FILE`
# declares it on a running one. Enums may be given by number or by name.
"""


def definition_rows(model: DataModel) -> list[list[str]]:
    """Lay the attributes out as rows of words."""
    return [[name, *words] for name, *words in (_words(model, at) for at in range(len(model.attributes)))]


def to_yaml(model: DataModel) -> str:
    """Write a data model; numbers are what a server reads, the words beside them are for people."""
    lines = [_HEADER + f"default_country: {model.default_country or 'US'}", "attributes:"]
    for at, definition in enumerate(model.attributes):
        _, kind, category, cardinality, survivorship = _words(model, at)
        lines += [
            f"  - name: {definition.name}",
            f"    type: {definition.type}  # {kind}",
            f"    pii_category: {definition.pii_category}  # {category}",
            f"    cardinality: {definition.cardinality}  # {cardinality}",
            f"    survivorship: {definition.survivorship}  # {survivorship}",
        ]
    return "\n".join(lines) + "\n"


def from_yaml(file: Path) -> DataModel:
    """Read a data model.

    Raises CommandError naming the attribute and what is wrong with it; OSError when the file can't be read.
    """
    import yaml

    from goldenthread.client import DataModel, attribute_definition

    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise CommandError(f"{file} is not YAML.", "Start from what `goldenthread model export` writes.") from None
    attributes = plain.get("attributes") if isinstance(plain, dict) else None
    if not isinstance(attributes, list):
        raise CommandError(f"{file} has no list of attributes.", "Start from what `goldenthread model export` writes.")
    prefixes = {"type": "SEMANTIC_TYPE_", "pii_category": "PII_CATEGORY_", "cardinality": "CARDINALITY_"}
    prefixes["survivorship"] = "SURVIVORSHIP_"
    model = DataModel(default_country=str(plain.get("default_country") or ""))
    for place, given in enumerate(attributes, start=1):
        if not isinstance(given, dict) or not given.get("name"):
            raise CommandError(f"{file}: attribute {place} has no name.", "Give every attribute a name and a type.")
        for field, prefix in prefixes.items():
            value = given.get(field)
            if isinstance(value, str):
                given[field] = prefix + value.upper().replace(" ", "_").replace("-", "_")
        try:
            model.attributes.append(attribute_definition(given))
        except ValueError:
            problem = f"{file}: attribute {given['name']} has a field or a word that is not known."
            raise CommandError(problem, "Use the words that `goldenthread model show` shows.") from None
    return model


def _words(model: DataModel, at: int) -> list[str]:
    """Write one definition in words."""
    definition = model.attributes[at]
    words = [definition.name]
    for field in ("type", "pii_category", "cardinality", "survivorship"):
        kinds = definition.DESCRIPTOR.fields_by_name[field].enum_type
        word = kinds.values_by_number[getattr(definition, field)].name if kinds is not None else ""
        prefix = {"type": "SEMANTIC_TYPE_"}.get(field, field.upper() + "_")
        words.append(word.removeprefix(prefix).lower())
    return words
