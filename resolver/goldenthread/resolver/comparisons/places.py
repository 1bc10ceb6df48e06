"""Compare postal addresses: the door, and the area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.process import cpdist

from goldenthread.resolver.comparisons.comparison import (
    BINS,
    EXACT,
    MISSING,
    Comparison,
    Levels,
    numbers,
    pair_codes,
    similarities,
)
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.normalise.places import Place

__all__ = ["Area", "Street", "district_of"]


class Street(Comparison[Place]):
    """Compare house number, street and unit of addresses.

    `unit`: one house, two flats. `close`: the house number or street mistyped. `renamed`: one house number in one postcode,
    and another name of the street. `street`: the street alone.
    """

    kind = "street"
    levels = ("missing", *EXACT, "unit", "close", "renamed", "street", "different")
    expected: ClassVar[Mapping[str, float]] = {
        "exact": 0.70,
        "unit": 0.02,
        "close": 0.10,
        "renamed": 0.01,
        "street": 0.02,
        "different": 0.15,
    }

    CLOSE, ALIKE = 0.85, 0.94

    def values(self, profile: Profile) -> tuple[Place, ...]:
        """Take the addresses that have a street."""
        return tuple(a for a in profile.addresses if a[1])

    def frequency_texts(self, value: Place) -> Sequence[str]:
        """List number and street as one text."""
        return (f"{value[0]}|{value[1]}",)

    def compare(self, x: Place, y: Place) -> int:
        """Compare two normalised addresses."""
        if x[1] == y[1]:
            if x[0] == y[0]:
                return BINS + 1 if x[2] != y[2] and x[2] and y[2] else 1 + self.rarity(f"{x[0]}|{x[1]}")
            if x[0] and y[0] and OSA.distance(x[0], y[0], score_cutoff=1) <= 1 and max(len(x[0]), len(y[0])) > 2:
                return BINS + 2
            return BINS + 4
        similarity = JaroWinkler.similarity(x[1], y[1])
        if x[0] == y[0] and x[0]:
            if similarity >= self.CLOSE:
                return BINS + 2
            if x[5] == y[5] and x[5]:
                return BINS + 3
        return BINS + 4 if similarity >= self.ALIKE else BINS + 5

    def compare_many(self, xs: Sequence[Place], ys: Sequence[Place]) -> Levels:
        """Compare pairs of normalised addresses."""
        values, x, y = pair_codes(xs, ys)
        house, street, postcode = (numbers([v[part] for v in values]) for part in (0, 1, 5))
        has_house, has_postcode = (np.fromiter((bool(v[part]) for v in values), np.bool_, len(values)) for part in (0, 5))
        similarity = similarities([v[1] for v in xs], [v[1] for v in ys])
        found = np.where(similarity >= self.ALIKE, BINS + 4, BINS + 5).astype(np.int8)
        one_house = (house[x] == house[y]) & has_house[x]
        found[one_house & (postcode[x] == postcode[y]) & has_postcode[x]] = BINS + 3
        found[one_house & (similarity >= self.CLOSE)] = BINS + 2
        for i in np.flatnonzero(street[x] == street[y]).tolist():
            found[i] = self.compare(xs[i], ys[i])
        return found


class Area(Comparison[Place]):
    """Compare postcode and city of addresses: the postcode where both have one, else the city.

    `close`: one of them mistyped. `district`: postcodes of one district (their first part, or all but the last two places).
    """

    kind = "area"
    levels = ("missing", *(f"postcode_{b}" for b in range(BINS)), *(f"city_{b}" for b in range(BINS)), "close", "district",
              "different")  # fmt: skip
    binned = ("postcode", "city")
    expected: ClassVar[Mapping[str, float]] = {
        "postcode": 0.65,
        "city": 0.15,
        "close": 0.08,
        "district": 0.02,
        "different": 0.10,
    }

    CLOSE = 0.92

    def values(self, profile: Profile) -> tuple[Place, ...]:
        """Take the addresses that have a postcode or a city."""
        return tuple(a for a in profile.addresses if a[3] or a[5])

    def frequency_texts(self, value: Place) -> Sequence[str]:
        """List postcode and city, told apart."""
        return tuple(t for t in (f"P{value[5]}", f"C{value[3]}") if len(t) > 1)

    def compare(self, x: Place, y: Place) -> int:
        """Compare two normalised addresses."""
        if x[5] and x[5] == y[5]:
            return 1 + self.rarity(f"P{x[5]}")
        if x[3] and x[3] == y[3]:
            return 1 + BINS + self.rarity(f"C{x[3]}")
        if not ((x[5] and y[5]) or (x[3] and y[3])):
            return MISSING
        if x[5] and y[5] and OSA.distance(x[5], y[5], score_cutoff=1) <= 1:
            return 2 * BINS + 1
        if x[3] and y[3] and JaroWinkler.similarity(x[3], y[3]) >= self.CLOSE:
            return 2 * BINS + 1
        return 2 * BINS + 2 if district_of(x[5]) and district_of(x[5]) == district_of(y[5]) else 2 * BINS + 3

    def compare_many(self, xs: Sequence[Place], ys: Sequence[Place]) -> Levels:
        """Compare pairs of normalised addresses."""
        values, x, y = pair_codes(xs, ys)
        cities, codes = [v[3] for v in values], [v[5] for v in values]
        city, code, district = numbers(cities), numbers(codes), numbers([district_of(c) for c in codes])
        has_city, has_code, has_district = (
            np.fromiter(map(bool, texts), np.bool_, len(texts)) for texts in (cities, codes, [district_of(c) for c in codes])
        )
        both_codes, both_cities = has_code[x] & has_code[y], has_city[x] & has_city[y]
        found = np.where(both_codes | both_cities, 2 * BINS + 3, MISSING).astype(np.int8)
        found[both_codes & has_district[x] & (district[x] == district[y])] = 2 * BINS + 2
        rows = np.flatnonzero(both_codes & (code[x] != code[y]))
        far = cpdist(*_sides(codes, x[rows], y[rows]), scorer=OSA.distance, score_cutoff=1, dtype=np.int32) > 1
        found[rows[~far]] = 2 * BINS + 1
        rows = np.flatnonzero(both_cities & (city[x] != city[y]))
        found[rows[similarities(*_sides(cities, x[rows], y[rows])) >= self.CLOSE]] = 2 * BINS + 1
        for i in np.flatnonzero((both_cities & (city[x] == city[y])) | (both_codes & (code[x] == code[y]))).tolist():
            found[i] = self.compare(xs[i], ys[i])
        return found


def _sides(texts: Sequence[str], x: NDArray[np.int64], y: NDArray[np.int64]) -> tuple[list[str], list[str]]:
    """Take the texts of both sides of pairs."""
    return [texts[i] for i in x.tolist()], [texts[i] for i in y.tolist()]


def district_of(postcode: str) -> str:
    """Name the district of a postcode: all but the last three places of one with letters, all but the last two of others."""
    return postcode[:-3] if postcode[-1:].isalpha() or postcode[:1].isalpha() else postcode[:-2]
