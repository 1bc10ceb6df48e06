"""The scanner finds every form wherever it is, and does not cry wolf."""

from __future__ import annotations

import base64
import json
import random
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needle_scanner import Needles

NAME = "Zoë O'Brien-Łukasz"
PHONE = "+1 (415) 555-2671"

FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda v: v.encode(),
    "case-folded": lambda v: v.casefold().encode(),
    "upper case": lambda v: v.upper().encode(),
    "url": lambda v: urllib.parse.quote(v).encode(),
    "url, everything": lambda v: urllib.parse.quote(v, safe="").encode(),
    "url, plus": lambda v: urllib.parse.quote_plus(v).encode(),
    "url, small hex": lambda v: urllib.parse.quote(v).lower().encode(),
    "json": lambda v: json.dumps(v).encode(),
    "json, not ascii": lambda v: json.dumps(v, ensure_ascii=False).encode(),
    "base64": lambda v: base64.b64encode(v.encode()),
    "base64 after one": lambda v: base64.b64encode(b"{" + v.encode() + b"}"),
    "base64 after two": lambda v: base64.b64encode(b'{"' + v.encode() + b'"}'),
    "base64url": lambda v: base64.urlsafe_b64encode(v.encode()),
    "base64url after one": lambda v: base64.urlsafe_b64encode(b"\xff" + v.encode() + b"\xff"),
    "base64url after two": lambda v: base64.urlsafe_b64encode(b"\xff\xff" + v.encode() + b"\xff"),
    "base64, case-folded": lambda v: base64.b64encode(v.casefold().encode()),
    "utf-16 le": lambda v: v.encode("utf-16-le"),
    "utf-16 be": lambda v: v.encode("utf-16-be"),
    "utf-16, case-folded": lambda v: v.casefold().encode("utf-16-le"),
    "hex": lambda v: v.encode().hex().encode(),
    "hex, capitals": lambda v: v.encode().hex().upper().encode(),
}


def needles(*values: str, window_bytes: int = 1 << 20) -> Needles:
    made = Needles(window_bytes=window_bytes)
    for value in values:
        assert made.add(value)
    return made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [NAME, "Elizabeth", "ada.lovelace@example.org", 'a "quoted"\\ value/?>~'])
def test_every_form_is_found_at_every_place_around_a_border_of_windows(tmp_path: Path, form: str, value: str) -> None:
    planted = FORMS[form](value)
    looked_for = needles(value, window_bytes=256)
    file = tmp_path / "a.log"

    for at in range(256 - len(planted) - 1, 256 + 2):
        file.write_bytes(b"." * at + planted + b"." * 300)

        found = looked_for.scan([file])

        assert {(f.path, f.needle) for f in found} == {(file, 0)}, at
        assert all(at <= f.offset <= at + 4 for f in found)


@pytest.mark.parametrize("text", ["4155552671", "14155552671", "0014155552671", "+14155552671", "tel:14155552671;"])
def test_a_phone_is_found_by_its_digits_after_a_country_code(text: str) -> None:
    assert needles("(415) 555-2671").scan_bytes(b"x" + text.encode() + b"x")


def test_each_planted_value_is_told_from_the_others_without_being_printed(tmp_path: Path) -> None:
    first, second = "Ada Lovelace", "Grace Hopper"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "b.db").write_bytes(bytes(100) + second.encode() + bytes(100))

    (found,) = needles(first, second).scan([tmp_path])

    assert (found.path.name, found.offset, found.form, found.needle) == ("b.db", 100, "raw", 1)
    assert second not in repr(found)
    assert found.hint == "Gr…, 12 characters"


def test_every_occurrence_is_found_once(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"Ada Lovelace, " * 1000)

    found = needles("Ada Lovelace", window_bytes=100).scan([file], limit=5000)

    assert [f.offset for f in found] == [14 * i for i in range(1000)]


def test_a_scan_stops_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"Ada Lovelace, " * 1000)

    assert len(needles("Ada Lovelace").scan([tmp_path], limit=10)) == 10


def test_a_value_longer_than_a_window_is_found(tmp_path: Path) -> None:
    value = "".join(random.Random(1).choices("abcdefgh ", k=5000)).strip()
    (tmp_path / "a.log").write_bytes(b"." * 777 + value.upper().encode() + b"." * 10)

    assert [f.offset for f in needles(value, window_bytes=128).scan([tmp_path])] == [777]


def test_short_values_are_not_looked_for() -> None:
    looked_for = Needles()

    assert not looked_for.add("Ada")
    assert not looked_for.add("   short   ")

    assert len(looked_for) == 0
    assert looked_for.scan_bytes(b"Ada short") == []


def test_clean_files_and_empty_files_have_no_findings(tmp_path: Path) -> None:
    (tmp_path / "random").write_bytes(random.Random(3).randbytes(2_000_000))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "tiny").write_bytes(b"abc")

    assert needles(NAME, PHONE, "19620308", "Elizabeth").scan([tmp_path]) == []


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        needles(NAME).scan([tmp_path / "nothing"])


@pytest.mark.parametrize(
    "text",
    [
        "1762019620308123",  # microseconds since 1970
        "0.84619620308777",
        "a3f0c2d419620308e6b1c5d2f7a80913",  # a digest
        "19620308-4c1f-4d0e-9a77-5b0c7be0a1f2",  # a UUID
    ],
)
def test_digits_inside_timestamps_digests_and_uuids_are_not_a_birth_date(text: str) -> None:
    assert needles("19620308").scan_bytes(b"at=" + text.encode() + b" ok") == []


@pytest.mark.parametrize("text", ["19620308", '"19620308"', "Smith19620308NSW", "born=19620308,", "\x0019620308\x00"])
def test_digits_that_stand_for_themselves_are_a_birth_date(text: str) -> None:
    assert needles("19620308").scan_bytes(b"(" + text.encode() + b")")


def test_adding_after_a_scan_counts() -> None:
    looked_for = needles("Ada Lovelace")
    assert looked_for.scan_bytes(b"Grace Hopper") == []

    looked_for.add("Grace Hopper")

    assert len(looked_for.scan_bytes(b"Grace Hopper")) == 1


@given(
    value=st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=8, max_size=20).filter(
        lambda v: len(v.strip()) == len(v) and not v.isdigit()
    ),
    form=st.sampled_from(sorted(FORMS)),
    before=st.binary(max_size=40),
    after=st.binary(max_size=40),
    window_bytes=st.integers(1, 64),
)
@settings(max_examples=200)
def test_any_value_in_any_form_between_any_bytes_is_found(
    tmp_path_factory: pytest.TempPathFactory, value: str, form: str, before: bytes, after: bytes, window_bytes: int
) -> None:
    file = tmp_path_factory.mktemp("any") / "file"
    file.write_bytes(before + FORMS[form](value) + after)

    assert needles(value, window_bytes=window_bytes).scan([file])


def test_fifty_thousand_values_are_looked_for_in_a_large_file(tmp_path: Path) -> None:
    chance = random.Random(11)
    values = [f"person{n}.{chance.randrange(10**9)}@mail{n % 97}.example" for n in range(50_000)]
    content = bytearray(chance.randbytes(8_000_000))
    for at, n in ((0, 49_999), (4_000_003, 17), (7_999_000, 25_000)):
        content[at : at + len(values[n])] = values[n].encode()
    (tmp_path / "large.db").write_bytes(content)

    found = needles(*values).scan([tmp_path])

    assert [(f.offset, f.needle) for f in found] == [(0, 49_999), (4_000_003, 17), (7_999_000, 25_000)]
