"""Numbers of equal keys, rows and texts are those that a dictionary gives, whatever the hashes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.resolver.bulk import numbering
from goldenthread.resolver.bulk.numbering import encoded, factorise, factorise_columns, pack

keys = st.one_of(st.integers(0, 5), st.integers(0, 1 << 61), st.integers(-3, 3).map(lambda n: n << 60))
rows = st.lists(st.tuples(*[st.integers(0, 1 << 30).map(lambda n: n % 7 << 28)] * 3), max_size=40)


def numbered(values: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    number: dict[Hashable, int] = {}
    numbers = [number.setdefault(value, len(number)) for value in values]
    return numbers, [values.index(value) for value in number]


@given(st.lists(keys, max_size=60))
def test_keys_are_numbered_as_they_come(values):
    number, first = factorise(np.array(values, np.int64))

    assert (number.tolist(), first.tolist()) == numbered(values)


@given(rows)
def test_rows_too_wide_for_one_integer_are_numbered_as_they_come(values):
    columns = [(np.array([row[k] for row in values], np.int64), 1 << 31) for k in range(3)]

    number, first = factorise_columns(columns, len(values))

    assert (number.tolist(), first.tolist()) == numbered(values)
    assert factorise(pack(columns, len(values)))[0].tolist() == numbered(values)[0]


@pytest.mark.parametrize("bits", [0, 1, 3])
def test_rows_whose_hashes_agree_are_told_apart(monkeypatch, bits):
    monkeypatch.setattr(
        numbering, "_mixed", lambda hashes, keys: (keys.astype(np.uint64) % np.uint64(1 << bits)) << np.uint64(60)
    )
    values = np.random.default_rng(bits).integers(-40, 40, 300) << 40

    number, first = factorise(values)

    assert (number.tolist(), first.tolist()) == numbered(values.tolist())


@pytest.mark.parametrize("longest", [3, 7, 8, 9, 16, 40, 64, 65])
def test_many_texts_are_numbered_as_a_dictionary_does(longest):
    generator = np.random.default_rng(longest)
    letters = generator.integers(97, 123, (12_000, longest)).astype(np.uint8)
    lengths = generator.integers(0, longest + 1, len(letters))
    words = [bytes(row[:length]).decode() for row, length in zip(letters, lengths.tolist(), strict=True)]
    words += [words[place] for place in generator.integers(0, len(words), 500).tolist()]
    texts = pa.array(words)

    for part in (texts, texts[5:], texts.cast(pa.large_string())[:-1], texts.filter(pa.array([word != "" for word in words]))):
        codes, distinct = encoded(part)

        expected = part.dictionary_encode()
        assert codes.tolist() == expected.indices.to_pylist()
        assert distinct.equals(expected.dictionary)


@pytest.mark.parametrize("texts", [[], [""], ["a", "", "a"], [""] * 9000, [f"{i}" for i in range(9000)]])
def test_texts_of_every_kind_are_numbered(texts):
    codes, distinct = encoded(pa.array(texts, pa.string()))

    assert (codes.tolist(), distinct.to_pylist()) == (numbered(texts)[0], list(dict.fromkeys(texts)))
