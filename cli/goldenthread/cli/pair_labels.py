"""Write pairs to be labelled as CSV, and read them back with what somebody said."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goldenthread.cli.errors import CommandError
from goldenthread.cli.whole_file import whole_file

if TYPE_CHECKING:
    from goldenthread.resolver.report import Survey
    from goldenthread.resolver.sampled import LabelledPair

__all__ = ["labelled_pairs", "read_labels", "write_labels", "write_pairs", "write_sample"]

_HEAD = ("label", "left_source", "left_record_id", "right_source", "right_record_id")
_FACTS = ("stratum", "stratum_pairs", "stratum_expected", "draws")
_YES = frozenset({"1", "yes", "y", "true", "t", "match", "same"})
_NO = frozenset({"0", "no", "n", "false", "f", "different"})
_OPEN = frozenset({"", "?", "unsure", "skip"})

Record = tuple[str, str]


def write_pairs(
    out: Path,
    records: Sequence[Record],
    pairs: Iterable[tuple[int, int, Sequence[object]]],
    values: Mapping[str, Sequence[str]],
    facts: Sequence[str] = (),
) -> None:
    """Write pairs of rows, by source and record id, with an empty label each; the file appears whole or not at all.

    Each pair comes with its `facts`. Of the records' values only these columns are written.
    """
    with whole_file(out) as file:
        writer = csv.writer(file)
        writer.writerow([*_HEAD, *facts, *(f"{side}.{name}" for name in values for side in ("left", "right"))])
        for left, right, known in pairs:
            shown = [column[row] for column in values.values() for row in (left, right)]
            writer.writerow(["", *records[left], *records[right], *known, *shown])


def write_labels(out: Path, pairs: Iterable[tuple[bool, Record, Record]]) -> None:
    """Write pairs that are labelled already; the file appears whole or not at all."""
    with whole_file(out) as file:
        writer = csv.writer(file)
        writer.writerow(_HEAD)
        writer.writerows([int(is_match), *left, *right] for is_match, left, right in pairs)


def labelled_pairs(file: Path, written_by: str, facts: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, str], bool | None]]:
    """Read labelled pairs: where each stands, its columns, and whether it is one person; None where nobody said.

    Raises CommandError, naming row, column and remedy, and never a value of a record.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is not text in UTF-8.", "Save it as CSV in UTF-8.") from None
    reader = csv.DictReader(text.splitlines(keepends=True))
    missing = [name for name in (*_HEAD, *facts) if name not in (reader.fieldnames or ())]
    if missing:
        raise CommandError(f"{file} has no column {missing[0]}.", f"Start from what `{written_by}` writes.")
    for row in reader:
        at = f"{file}, row {reader.line_num}"
        said = (row["label"] or "").strip().casefold()
        if said not in _YES | _NO | _OPEN:
            raise CommandError(f"{at}: the label is none of 1, 0 and empty.", "Write 1 for one person, 0 for two.")
        yield at, row, None if said in _OPEN else said in _YES


def write_sample(
    out: Path, survey: Survey, records: Sequence[Record], values: Mapping[str, Sequence[str]], size: int, seed: int = 0
) -> int:
    """Write about `size` pairs of a survey, by source and record id, with an empty label each; answer how many.

    Of the records' values only these columns are written. The pairs are in random order and without their weights, so that
    who labels them is not led. The file appears whole or not at all.
    """
    from random import Random

    from goldenthread.resolver.sampled import draw_sample

    drawn = draw_sample(survey.bits, survey.probabilities, survey.times, survey.same_identity, size, seed)
    Random(seed).shuffle(drawn)  # noqa: S311  # an order, no secret
    facts = [(d.stratum, f"{d.stratum_pairs:.3f}", f"{d.expected:.6g}", d.draws) for d in drawn]
    rows = [(int(survey.left[d.pair]), int(survey.right[d.pair])) for d in drawn]
    write_pairs(out, records, [(*row, known) for row, known in zip(rows, facts, strict=True)], values, _FACTS)
    return len(drawn)


def read_labels(file: Path, identity_of: Mapping[Record, str]) -> list[LabelledPair]:
    """Read labelled pairs; `identity_of` is the result to be measured, by source and record id.

    Raises CommandError, naming row, column and remedy, and never a value of a record.
    """
    from goldenthread.resolver.sampled import LabelledPair

    pairs = []
    for at, row, is_match in labelled_pairs(file, "goldenthread link --sample", _FACTS):
        left, right = (row["left_source"], row["left_record_id"]), (row["right_source"], row["right_record_id"])
        if left not in identity_of or right not in identity_of:
            raise CommandError(
                f"{at}: a record of the pair is not in the result.", "Give labels of the records that were linked."
            )
        try:
            facts = int(row["stratum"]), float(row["stratum_pairs"]), float(row["stratum_expected"]), int(row["draws"])
        except (TypeError, ValueError):
            raise CommandError(
                f"{at}: stratum, stratum_pairs, stratum_expected or draws is no number.", "Leave these columns as written."
            ) from None
        pairs.append(LabelledPair(*facts, identity_of[left] == identity_of[right], is_match))
    if not any(pair.is_match is not None for pair in pairs):
        raise CommandError(f"{file} has no label yet.", "Write 1 for one person and 0 for two into the column label.")
    return pairs
