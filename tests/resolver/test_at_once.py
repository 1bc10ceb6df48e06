"""What is worked out of many texts at once is what is worked out of each."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.resolver.blocking import part_values
from goldenthread.resolver.bulk.derived import mailboxes
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.pairs import part_feature
from goldenthread.resolver.bulk.plain_values import plain_dates, plain_emails, plain_names, plain_phones, plain_postcodes
from goldenthread.resolver.bulk.sketches import sketch_of
from goldenthread.resolver.bulk.text_column import integers, strings
from goldenthread.resolver.bulk.texts import Joined, Letters, Texts, codes_of, filled_in, ranks
from goldenthread.resolver.bulk.threads import spread
from goldenthread.resolver.comparisons import BirthDate, Email, LoneName, Name, Phone, Text, WholeName
from goldenthread.resolver.learning.em import patterns
from goldenthread.resolver.normalise import Profile
from goldenthread.resolver.normalise.contacts import email_address, mailbox, phone_number
from goldenthread.resolver.normalise.dates import birth_date
from goldenthread.resolver.normalise.names import name_part
from goldenthread.resolver.normalise.places import postcode

written = st.lists(st.text("abAB é.1", max_size=6), max_size=9)

emails = st.one_of(
    st.from_regex(r"[a-c.+_'-]{1,6}@[a-c.-]{1,6}", fullmatch=True),
    st.sampled_from(
        ["none@x.org", "nonesuch@x.org", "n/a@x.org", "a@gmail.com", "a.b+c@googlemail.com", "a@x.org.", "mailto:a@b.c"]
    ),
)
digits = st.text("0123456789", min_size=7, max_size=12)
phones = st.one_of(
    st.from_regex(r"(\+1[ .-]?)?\(?[2-4]\d\d[) .-]{0,2}[2-9]\d\d[ .-]?\d{4}", fullmatch=True),
    st.from_regex(r"\+[1-9]\d{5,16}", fullmatch=True),
    digits,
    digits.map("+".__add__),
    st.sampled_from(["222-222-2222", "+12222222222", "9876543210", "+1 987 654 3210", "+123456789", "+99999999", "+111111111"]),
)


def at_once(found, texts, write):
    return filled_in(*found, strings(texts), write).to_pylist()


@given(st.lists(emails, min_size=1, max_size=9))
def test_email_addresses_are_normalised_at_once_as_each(texts):
    arrow = strings(texts)

    assert at_once(plain_emails(arrow), texts, email_address) == [email_address(text) for text in texts]


@pytest.mark.parametrize("country", ["US", "GB", ""])
@given(texts=st.lists(phones, min_size=1, max_size=9))
def test_phones_are_normalised_at_once_as_each(country, texts):
    written, sure = plain_phones(strings(texts), country)

    found = [text for text, is_sure in zip(written.to_pylist(), sure.tolist(), strict=True) if is_sure]

    assert found == [phone_number(t.strip(), country) for t, is_sure in zip(texts, sure.tolist(), strict=True) if is_sure]


@given(
    st.lists(st.one_of(st.text("aBcé .", max_size=5), st.sampled_from(["Dr", "none", "NA", "Anna"])), min_size=1, max_size=9)
)
def test_names_are_normalised_at_once_as_each(texts):
    assert at_once(plain_names(strings(texts)), texts, name_part) == [name_part(text) for text in texts]


@given(
    st.lists(
        st.one_of(
            st.from_regex(r"[0-29]\d{3}-\d\d-\d\d", fullmatch=True),
            st.text("0129-/ ", max_size=10),
            st.sampled_from(["1900-01-01", "1899-12-31", "1899-12-30", "1899-12-32", "9999-12-31", "1980-88-00", "3 May 1980"]),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_birth_dates_are_normalised_at_once_as_each(texts):
    def write(text):
        return birth_date(text, "GB")

    assert at_once(plain_dates(strings(texts)), texts, write) == [write(text) for text in texts]


@given(st.lists(st.one_of(st.text("017", max_size=10), st.text("0a1 -.", max_size=7)), min_size=1, max_size=9))
def test_postcodes_are_normalised_at_once_as_each(texts):
    assert at_once(plain_postcodes(strings(texts)), texts, postcode) == [postcode(text) for text in texts]


@given(st.lists(emails, min_size=1, max_size=9))
def test_addresses_are_split_at_once_as_each(texts):
    users, domains = mailboxes(Texts(strings(texts)))

    assert list(zip(users.to_pylist(), domains.to_pylist(), strict=True)) == [mailbox(text) for text in texts]


names = st.text("abceghknopqrstuwyz1é ", min_size=1, max_size=12).map(lambda text: " ".join(text.split())).filter(bool)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=9))
def test_parts_of_names_are_worked_out_at_once_as_of_each(pairs):
    profiles = [Profile(given=(g,), surname=(s,)) for g, s in pairs]
    frame = Frame.of_profiles(profiles)

    for part in ("given.sound", "surname.sound", "surname.prefix", "given.initial", "name.words", "name"):
        feature = part_feature(frame, part)
        expected = [sorted({v for v in part_values(part, profile) if v}) for profile in profiles]
        assert [sorted(feature.entry(code)) for code in feature.codes.tolist()] == expected, part


@pytest.mark.parametrize(
    ("comparison", "values"),
    [
        (Name("surname"), names),
        (Text("region"), names),
        (Email("email"), emails.map(str.casefold)),
        (Phone("phone"), st.from_regex(r"\+[1-3]{8,11}", fullmatch=True)),
        (BirthDate("birth_date"), st.from_regex(r"(19[01][0-3]|2000)-[01][0-2]-[012][0-2]", fullmatch=True)),
        (WholeName("whole_name"), st.tuples(names, names, names).map("|".join)),
        (LoneName("lone_name"), st.one_of(names.map("{}|".format), names.map("|{}".format))),
    ],
    ids=["name", "text", "email", "phone", "birth_date", "whole_name", "lone_name"],
)
@given(data=st.data())
def test_what_sketches_answer_is_the_level_of_each_pair(comparison, values, data):
    texts = data.draw(st.lists(values, min_size=2, max_size=80, unique=True))
    x, y = (side.ravel() for side in np.triu_indices(len(texts), 1))

    sketch = sketch_of(comparison, Texts(strings(texts)))

    for answer in (sketch.quickly, sketch.closely or sketch.quickly):
        for i, j, level in zip(x.tolist(), y.tolist(), answer(x, y).tolist(), strict=True):
            assert level in (-1, comparison.level((texts[i],), (texts[j],)))


@given(written)
def test_texts_are_numbered_as_they_come_and_nothing_is_none(texts):
    codes, distinct = codes_of(strings(texts))

    number = {"": 0}
    assert codes.tolist() == [number.setdefault(text, len(number)) for text in texts]
    assert distinct.to_pylist() == list(number)[1:]


@given(written, st.data())
def test_texts_read_like_a_list(texts, data):
    kept = Texts(strings(texts))
    places = data.draw(st.lists(st.integers(0, len(texts) - 1))) if texts else []

    assert list(kept) == texts
    assert [kept[place] for place in places] == [texts[place] for place in places] == kept.some(np.array(places, np.int64))
    assert list(kept.taken(np.array(places, np.int64))) == [texts[place] for place in places]
    assert [text in kept for text in ("", "a", "b.")] == [text in texts for text in ("", "a", "b.")]


@given(written, st.integers(0, 9))
def test_bytes_of_texts_are_those_of_each(texts, start):
    arrow = strings(texts)[start:]
    letters = Letters(arrow)

    assert letters.lengths.tolist() == [len(text.encode()) for text in texts[start:]]
    assert letters.column(1).tolist() == [(text.encode() + b"\0\0")[1] for text in texts[start:]]
    assert letters.to_arrow().equals(pc.take(arrow, integers(np.arange(len(arrow)))).cast(letters.to_arrow().type))


@given(st.lists(st.text(max_size=3), unique=True))
def test_texts_are_ranked_as_python_orders_them(texts):
    assert ranks(strings(texts)).tolist() == [sorted(texts).index(text) for text in texts]


def test_some_rows_keep_texts_in_arrow():
    feature = Feature.of_texts(strings(["b", "", "a", "b"]), np.array([0, 1, 2, 3, 3]))

    few = feature.only(np.array([2, 1]))

    assert ([few.entry(code) for code in few.codes.tolist()], list(few.values)) == ([("a",), ()], ["a"])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=9))
def test_joined_texts_read_as_a_list_of_them(places):
    ones, others = ["ann", "", "bé"], ["x", "y z", "ann"]
    expected = [f"{ones[i]}|{others[j]}" for i, j in places]

    left, right = (np.array(column, np.int32) for column in zip(*places, strict=True))
    joined = Joined([(left, strings(ones)), (right, strings(others))], "|")

    assert list(joined) == expected == [joined[place] for place in range(len(joined))]
    assert list(joined[1:]) == expected[1:]
    assert expected[0] in joined
    assert "" not in joined
    assert joined.some(np.array([0, 0])) == [expected[0]] * 2


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=30))
def test_patterns_are_the_distinct_rows_with_their_counts(rows):
    levels = np.array(rows, np.int8).reshape(-1, 3)

    seen, counts, pattern_of = patterns(levels)

    assert [tuple(row) for row in seen.tolist()] == sorted(set(rows))
    assert counts.tolist() == [rows.count(row) for row in sorted(set(rows))]
    assert np.array_equal(seen[pattern_of], levels)


def test_work_spread_over_threads_answers_in_order_and_raises_in_its_place():
    def inverse(number):
        return 1 / number

    found = spread(inverse, [4, 2, 1, 0, 5])

    assert [*islice(found, 3)] == [0.25, 0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(found)
