"""Make people in columns: a seeded file of any size to measure speed and memory with. Accuracy on made data proves nothing.

Each person has one to four records. The first is as the person would write it; later ones have typos, nicknames, swapped
names, a wrong date, a new postcode, email or phone. Values are missing at random. Names are drawn as in a real population: a
few are common, most are rare, and how common does not depend on the number of rows. Rows are in random order throughout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from goldenthread.cli.demo.names import EMAIL_DOMAINS, FEMALE, MALE, NICKNAMES, SURNAMES

__all__ = ["COLUMNS", "main", "make_people", "write_people"]

COLUMNS = ("record_id", "truth_id", "first_name", "surname", "dob", "postcode", "email", "phone")

_CHUNK = 1 << 19
"""Rows made at a time, so that memory does not grow with the file; part of what a seed means."""

_RECORDS = np.array([0.72, 0.18, 0.07, 0.03])
"""Shares of the people with one, two, three and four records."""

_FIRST_NAMES, _SURNAMES = 4_000, 100_000
_DAYS = np.arange(np.datetime64("1930-01-01"), np.datetime64("2007-01-01")).astype("S10")
_AREA_CODES = (201, 202, 203, 206, 212, 213, 214, 215, 216, 303, 305, 312, 313, 314, 404, 412, 415, 503, 504, 512, 602, 612,
               614, 615, 617, 702, 703, 713, 718, 801, 804, 816, 901, 904, 913, 916, 919)  # fmt: skip

_RANGES = {
    "postcode": (1_000, 41_000),
    "mailbox": (0, 100 * len(EMAIL_DOMAINS)),
    "phone": (0, 8_000_000 * len(_AREA_CODES)),
}
"""What is drawn for a person besides names and birth date: a number that stands for the value."""

_TYPO = {"first_name": 0.12, "surname": 0.12, "dob": 0.06, "postcode": 0.06, "email": 0.06, "phone": 0.05}
"""Chance that a later record has one typing error in this column."""

_NEW = {"postcode": 0.12, "mailbox": 0.15, "phone": 0.12}
"""Chance that a later record has another value altogether: moved, changed."""

_NICKNAME, _SWAPPED = 0.08, 0.01
_MISSING = {"first_name": 0.01, "surname": 0.01, "dob": 0.06, "postcode": 0.05, "email": 0.30, "phone": 0.30}

_HEADS = (
    "b", "br", "c", "ch", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "r", "s", "st", "t",
    "v", "w", "z",
)  # fmt: skip
_HEARTS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_TAILS = ("ck", "ll", "man", "n", "nd", "r", "rt", "s", "son", "t", "ton", "x")

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
_DIGITS = np.frombuffer(b"0123456789", np.uint8)

Words = NDArray[np.bytes_]
Index = NDArray[np.int64]


def make_people(rows: int, seed: int = 0) -> Iterator[pa.Table]:
    """Yield so many rows as tables with COLUMNS, all text, null where missing. The same rows and seed make the same values."""
    rng = np.random.default_rng(seed)
    first_names, surnames = _first_names(Random(seed)), _surnames(Random(seed))
    records = rng.choice(len(_RECORDS), rows, p=_RECORDS) + 1
    people = int(np.searchsorted(np.cumsum(records), rows)) + 1
    person_of = np.repeat(np.arange(people, dtype=np.int32), records[:people])[:rows]
    is_later = np.ones(rows, np.bool_)
    is_later[np.flatnonzero(np.diff(person_of, prepend=-1))] = False
    order = rng.permutation(rows)
    person_of, is_later = person_of[order], is_later[order]
    identity = {
        "first_name": _draw(rng, len(first_names), people, 10),
        "surname": _draw(rng, len(surnames), people, 20),
        "day": rng.integers(0, len(_DAYS), people, dtype=np.int32),
    } | {name: rng.integers(low, high, people, dtype=np.int32) for name, (low, high) in _RANGES.items()}
    for chunk, start in enumerate(range(0, rows, _CHUNK)):
        part = slice(start, start + _CHUNK)
        one = {name: values[person_of[part]] for name, values in identity.items()}
        yield _rows(np.random.default_rng((seed, chunk)), start, person_of[part], is_later[part], one, first_names, surnames)


def write_people(path: Path, rows: int, seed: int = 0) -> None:
    """Write so many rows as Parquet."""
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=list(COLUMNS[2:6])) as writer:
        for table in make_people(rows, seed):
            writer.write_table(table)


def _rows(
    rng: np.random.Generator,
    start: int,
    person: NDArray[np.int32],
    is_later: NDArray[np.bool_],
    one: dict[str, NDArray[np.int32]],
    first_names: Words,
    surnames: Words,
) -> pa.Table:
    """Write down the records of one chunk."""
    n = len(person)

    def happens(chance: float) -> Index:
        return np.flatnonzero((rng.random(n) < chance) & is_later)

    for column, share in _NEW.items():
        new = happens(share)
        one[column][new] = rng.integers(*_RANGES[column], len(new), dtype=np.int32)
    area, number = np.divmod(one["phone"].astype(np.int64), 8_000_000)
    first, last = first_names[one["first_name"]], surnames[one["surname"]]
    user = pc.binary_join_element_wise(_text(first), _text(last), _text((one["mailbox"] % 100).astype("S2")), ".")
    domains = pa.array(EMAIL_DOMAINS).take(pa.array(one["mailbox"] // 100))
    columns: dict[str, Words] = {
        "first_name": first,
        "surname": last,
        "dob": _DAYS[one["day"]],
        "postcode": np.char.zfill(one["postcode"].astype("S5"), 5),
        "phone": _phones(area, number),
    }
    short = happens(_NICKNAME)
    columns["first_name"] = _nicknames(columns["first_name"], short)
    for column, table in (
        ("first_name", _LETTERS),
        ("surname", _LETTERS),
        ("dob", _DIGITS),
        ("postcode", _DIGITS),
        ("phone", _DIGITS),
    ):
        columns[column] = _mistyped(rng, columns[column], happens(_TYPO[column]), table)
    wrong = happens(_TYPO["email"])
    users = _mistyped(rng, np.array(user.to_numpy(zero_copy_only=False), "S"), wrong, _LETTERS)
    email = pc.binary_join_element_wise(_text(users), domains, "@")
    swapped = happens(_SWAPPED)
    width = max(columns["first_name"].itemsize, columns["surname"].itemsize)
    names, families = columns["first_name"].astype(f"S{width}"), columns["surname"].astype(f"S{width}")
    names[swapped], families[swapped] = families[swapped], names[swapped]
    texts = {name: _text(values) for name, values in (columns | {"first_name": names, "surname": families}).items()}
    texts["email"] = email
    for column, share in _MISSING.items():
        texts[column] = pc.if_else(pa.array(rng.random(n) < share), pa.scalar(None, pa.string()), texts[column])
    texts["record_id"] = _text(np.char.add(b"r", np.arange(start, start + n).astype("S10")))
    texts["truth_id"] = _text(np.char.add(b"t", person.astype("S10")))
    return pa.table({name: texts[name] for name in COLUMNS})


def _draw(rng: np.random.Generator, names: int, size: int, flat: int) -> NDArray[np.int32]:
    """Draw numbers of names, the smaller the commoner, by the law of Zipf and Mandelbrot; the first `flat` are about alike."""
    shares = 1.0 / (np.arange(names) + flat)
    bounds = np.cumsum(shares)
    drawn = np.searchsorted(bounds, rng.random(size) * bounds[-1])
    numbers: NDArray[np.int32] = np.minimum(drawn, names - 1).astype(np.int32)
    return numbers


def _first_names(rng: Random) -> Words:
    known = [name for pair in zip(FEMALE, MALE, strict=False) for name in pair]
    return _pool(rng, known, _FIRST_NAMES, 2)


def _surnames(rng: Random) -> Words:
    return _pool(rng, [name for name in SURNAMES if name.isalpha()], _SURNAMES, 3)


def _pool(rng: Random, known: Sequence[str], size: int, most: int) -> Words:
    """Put known names first and made ones, of up to `most` syllables and an ending, after them; all in small letters."""
    names = dict.fromkeys(name.lower() for name in known if name.isascii())
    while len(names) < size:
        syllables = [rng.choice(_HEADS) + rng.choice(_HEARTS) for _ in range(rng.randint(1, most))]
        names["".join(syllables) + rng.choice(_TAILS)] = None
    return np.array(list(names)[:size], "S")


def _nicknames(names: Words, rows: Index) -> Words:
    """Call the people of some rows by their nickname, where their name has one."""
    short = {formal.lower().encode(): nick[0].lower().encode() for formal, nick in NICKNAMES.items()}
    out = names.copy()
    distinct, inverse = np.unique(names[rows], return_inverse=True)
    out[rows] = np.array([short.get(name, name) for name in distinct.tolist()], names.dtype)[inverse]
    return out


def _phones(area: Index, number: Index) -> Words:
    exchange, line = np.divmod(number, 10_000)
    parts = [np.array(_AREA_CODES)[area].astype("S3"), (exchange + 200).astype("S3"), np.char.zfill(line.astype("S4"), 4)]
    return np.char.add(np.char.add(np.char.add(np.char.add(parts[0], b"-"), parts[1]), b"-"), parts[2])


def _mistyped(rng: np.random.Generator, texts: Words, rows: Index, table: NDArray[np.uint8]) -> Words:
    """Make one typing error in some texts: a character replaced, left out, put in, or swapped with the next.

    Characters of a date or number that are no digits are left alone: such an error is passed over.
    """
    width = texts.itemsize + 1
    grid = np.ascontiguousarray(texts.astype(f"S{width}")).view(np.uint8).reshape(len(texts), width)
    if not len(rows):
        return texts
    work = grid[rows]
    lengths = (work > 0).sum(axis=1)
    places = (rng.random(len(rows)) * lengths).astype(np.int64).clip(0)
    kinds = rng.choice(4, len(rows), p=[0.4, 0.25, 0.15, 0.2])
    columns = np.arange(width)
    new = table[rng.integers(0, len(table), len(rows))]
    here = np.take_along_axis(work, places[:, None], 1)[:, 0]
    allowed = np.isin(here, table)
    following = np.minimum(columns + 1, width - 1)
    replaced = np.where(columns == places[:, None], new[:, None], work)
    dropped = np.where(columns >= places[:, None], np.where(columns == width - 1, 0, work[:, following]), work)
    before = np.maximum(columns - 1, 0)
    added = np.where(columns < places[:, None], work, np.where(columns == places[:, None], new[:, None], work[:, before]))
    after = np.take_along_axis(work, np.minimum(places + 1, width - 1)[:, None], 1)[:, 0]
    turns = np.isin(after, table)
    swapped = np.where(turns[:, None] & (columns == places[:, None]), after[:, None], work)
    swapped = np.where(turns[:, None] & (columns == places[:, None] + 1), here[:, None], swapped)
    done = np.choose(kinds[:, None], [replaced, dropped, added, swapped])
    grid[rows] = np.where(allowed[:, None], done, work)
    mistyped: Words = grid.reshape(-1).view(f"S{width}")
    return mistyped


def _text(values: Words) -> pa.Array:
    """Turn bytes into Arrow text."""
    return pa.array(values, pa.binary()).cast(pa.string())


def main(arguments: Sequence[str]) -> int:
    """Write a file."""
    parser = argparse.ArgumentParser(prog="python -m bench people", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    chosen = parser.parse_args(arguments)
    write_people(chosen.out, chosen.rows, chosen.seed)
    return 0
