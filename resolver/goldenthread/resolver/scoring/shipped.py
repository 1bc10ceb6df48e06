"""The person parameters that come with the program, for before there is data to learn from.

Probabilities are judgement, after published error rates of customer files; learning replaces them. How common names are comes
from the 1990 census of the United States (public domain), kept as hashes in `census_names.json`.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import msgspec

from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.scoring.frequencies import FrequencyTable
from goldenthread.resolver.scoring.model import (
    CLASSES,
    WEIGHT_SCALE,
    ComparisonSpec,
    MatchModel,
    build_comparison,
    fixed_point,
    library_versions,
)

__all__ = ["SHIPPED_RULES", "shipped_model"]

SHIPPED_RULES = (
    BlockingRule("name_birth_date", ("name", "birth_date")),
    BlockingRule("sound_month_day", ("given.sound", "surname.initial", "birth_month_day")),
    BlockingRule("whole_name", ("given.formal", "surname")),
    BlockingRule("name_sounds_area", ("given.initial", "surname.sound", "area")),
    BlockingRule("organisation_area", ("organisation.words", "area")),
)

_PRIORS = (-20.0, -18.5, -18.0, -9.0, 0.0)
"""log2 of how often a pair of records is one person, family, at one address, namesakes, strangers."""

# One line a level: match, family, same address, strangers. Exact agreement is split into frequency bins below.
_LEVELS: dict[tuple[str, str], dict[str, tuple[float, float, float, float]]] = {
    ("name", "given_name"): {
        "exact": (0.828, 0.028, 0.010, 0.010),
        "nickname": (0.055, 0.006, 0.004, 0.004),
        "spelling": (0.020, 0.002, 0.0015, 0.0015),
        "close": (0.040, 0.012, 0.010, 0.010),
        "part": (0.015, 0.004, 0.002, 0.002),
        "initial": (0.025, 0.020, 0.012, 0.012),
        "similar": (0.007, 0.040, 0.030, 0.030),
        "different": (0.010, 0.894, 0.934, 0.934),
    },
    ("name", "surname"): {
        "exact": (0.87, 0.80, 0.010, 0.002),
        "nickname": (0.0005, 0.0005, 0.0003, 0.0003),
        "spelling": (0.015, 0.010, 0.0006, 0.0006),
        "close": (0.030, 0.020, 0.004, 0.004),
        "part": (0.017, 0.028, 0.004, 0.004),
        "initial": (0.0025, 0.002, 0.002, 0.002),
        "similar": (0.010, 0.015, 0.020, 0.020),
        "different": (0.055, 0.1245, 0.9597, 0.9677),
    },
    ("name", "middle_name"): {
        "exact": (0.70, 0.06, 0.03, 0.03),
        "nickname": (0.015, 0.006, 0.005, 0.005),
        "spelling": (0.015, 0.002, 0.0015, 0.0015),
        "close": (0.04, 0.01, 0.01, 0.01),
        "part": (0.02, 0.006, 0.005, 0.005),
        "initial": (0.13, 0.07, 0.065, 0.065),
        "similar": (0.01, 0.03, 0.03, 0.03),
        "different": (0.07, 0.824, 0.86, 0.86),
    },
    ("whole_name", "whole_name"): {
        "swapped": (0.01, 0.000002, 0.000002, 0.000002),
        "straight": (0.99, 0.999998, 0.999998, 0.999998),
    },
    ("generation", "name_suffix"): {
        "exact": (0.977, 0.10, 0.40, 0.40),
        "compatible": (0.020, 0.05, 0.10, 0.10),
        "different": (0.003, 0.85, 0.50, 0.50),
    },
    ("birth_date", "birth_date"): {
        "exact": (0.90, 0.030, 0.00005, 0.000045),
        "partial": (0.020, 0.010, 0.010, 0.010),
        "typo": (0.045, 0.0012, 0.0008, 0.0008),
        "swapped": (0.010, 0.0001, 0.00004, 0.00004),
        "two_parts": (0.010, 0.006, 0.004, 0.004),
        "year": (0.002, 0.015, 0.012, 0.012),
        "near": (0.003, 0.085, 0.028, 0.028),
        "different": (0.010, 0.8527, 0.94511, 0.945115),
    },
    ("category", "gender"): {"exact": (0.985, 0.47, 0.50, 0.50), "different": (0.015, 0.53, 0.50, 0.50)},
    ("email", "email"): {
        "exact": (0.52, 0.060, 0.00001, 0.000001),
        "domain_typo": (0.02, 0.0005, 0.000005, 0.000005),
        "user": (0.05, 0.002, 0.00005, 0.00005),
        "close": (0.02, 0.0055, 0.0003, 0.0003),
        "domain": (0.12, 0.200, 0.15, 0.10),
        "different": (0.27, 0.732, 0.849635, 0.899644),
    },
    ("phone", "phone"): {
        "exact": (0.65, 0.40, 0.010, 0.0000005),
        "national": (0.005, 0.002, 0.00005, 0.0000005),
        "close": (0.025, 0.008, 0.00045, 0.0000195),
        "different": (0.32, 0.59, 0.9895, 0.9999795),
    },
    ("number", "government_number"): {
        "exact": (0.93, 0.00001, 0.0000002, 0.0000002),
        "close": (0.04, 0.0008, 0.00005, 0.00005),
        "different": (0.03, 0.99919, 0.9999498, 0.9999498),
    },
    ("number", "account_number"): {
        "exact": (0.60, 0.010, 0.00001, 0.0000005),
        "close": (0.01, 0.002, 0.0001, 0.00005),
        "different": (0.39, 0.988, 0.99989, 0.9999495),
    },
    ("street", "street"): {
        "exact": (0.62, 0.60, 0.80, 0.000002),
        "unit": (0.03, 0.02, 0.15, 0.000001),
        "close": (0.05, 0.03, 0.015, 0.00005),
        "renamed": (0.005, 0.005, 0.003, 0.00001),
        "street": (0.02, 0.02, 0.015, 0.0010),
        "different": (0.275, 0.325, 0.017, 0.998937),
    },
    ("area", "area"): {
        "postcode": (0.70, 0.66, 0.92, 0.0002),
        "city": (0.10, 0.12, 0.06, 0.010),
        "close": (0.03, 0.03, 0.008, 0.004),
        "district": (0.03, 0.03, 0.002, 0.004),
        "different": (0.14, 0.16, 0.01, 0.9818),
    },
    ("organisation", "organisation"): {
        "exact": (0.82, 0.10, 0.10, 0.0002),
        "order": (0.03, 0.002, 0.002, 0.00002),
        "close": (0.05, 0.01, 0.01, 0.001),
        "acronym": (0.005, 0.0005, 0.0005, 0.0001),
        "subset": (0.035, 0.02, 0.02, 0.004),
        "part": (0.02, 0.02, 0.02, 0.006),
        "word": (0.01, 0.03, 0.03, 0.02),
        "different": (0.03, 0.8175, 0.8175, 0.96868),
    },
    ("text", "employer"): {
        "exact": (0.45, 0.03, 0.04, 0.002),
        "close": (0.05, 0.005, 0.005, 0.002),
        "part": (0.05, 0.03, 0.03, 0.03),
        "different": (0.45, 0.935, 0.925, 0.966),
    },
    ("text", "birth_place"): {
        "exact": (0.80, 0.40, 0.03, 0.02),
        "close": (0.05, 0.02, 0.01, 0.01),
        "part": (0.07, 0.05, 0.03, 0.03),
        "different": (0.08, 0.53, 0.93, 0.94),
    },
}


_NAMESAKES: dict[str, dict[str, float]] = {
    "given_name": {
        "exact": 0.97, "nickname": 0.006, "spelling": 0.003, "close": 0.007, "part": 0.002,
        "initial": 0.002, "similar": 0.005, "different": 0.005,
    },
    "middle_name": {
        "exact": 0.08, "nickname": 0.01, "spelling": 0.002, "close": 0.008, "part": 0.02, "initial": 0.10, "similar": 0.03,
        "different": 0.75,
    },
    "gender": {"exact": 0.95, "different": 0.05},
}  # fmt: skip
"""What people share who happen to have one given name; all else they share as strangers do."""


class _Share(msgspec.Struct, frozen=True):
    """How much of a population bears a name of each bin, and the chance that two people share one of each bin."""

    borne: tuple[float, ...]
    shared: tuple[float, ...]


class _Census(msgspec.Struct, frozen=True):
    """The content of `census_names.json`."""

    tables: tuple[FrequencyTable, ...]
    shares: dict[str, _Share]


_UNLISTED = _Share((1.0, 0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 0.0))
_NEVER = 1e-9


def _spec(kind: str, name: str, lines: dict[str, tuple[float, float, float, float]], census: _Census) -> ComparisonSpec:
    comparison = build_comparison(kind, name)
    share = census.shares.get(name, _UNLISTED)
    borne = tuple(max(b, _NEVER) for b in share.borne)
    columns: list[tuple[int, ...]] = []
    namesakes = _NAMESAKES.get(name, {})
    chances = {level: (*line[:3], namesakes.get(level, line[3]), line[3]) for level, line in lines.items()}
    for index in range(len(CLASSES)):
        probabilities = [1.0]
        for level in comparison.levels[1:]:
            head, _, tail = level.rpartition("_")
            if head in comparison.binned:
                number = int(tail)
                if name in census.shares:
                    chance = max(share.shared[number], _NEVER * borne[number])
                    related = chances[head][index] * borne[number]
                    # A chance agreement is as likely as the name is common; being family or one person comes on top.
                    probabilities.append(chance if index == len(CLASSES) - 1 else max(related, chance))
                else:
                    probabilities.append(chances[head][index] * (1.0 if number == 0 else 2.0 ** (-number)))
            else:
                probabilities.append(chances[level][index])
        columns.append(fixed_point(probabilities))
    return ComparisonSpec(kind, name, tuple(columns))


@lru_cache(1)
def shipped_model() -> MatchModel:
    """Build the shipped model; always the same for one version of the program."""
    census = msgspec.json.decode(files(__package__).joinpath("census_names.json").read_bytes(), type=_Census)
    priors = tuple(round(p * WEIGHT_SCALE) for p in _PRIORS)
    return MatchModel(
        name="person",
        default_country="US",
        priors=priors,
        comparisons=tuple(_spec(kind, name, lines, census) for (kind, name), lines in _LEVELS.items()),
        rules=SHIPPED_RULES,
        frequencies=census.tables,
        libraries=library_versions(),
    )
