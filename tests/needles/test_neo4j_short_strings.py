"""Strings that Neo4j packs into its records are found in its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from needle_scanner import Needles

AS_STORED = {  # what Neo4j 5.26 wrote to its property store for these, each as the property with key 11
    "Łukasz Wałęsa": "bac0e2a00b00000b62b0ab903d39b0b500000030b9cce241",
    "+1 415-555-2671": "28a50e9e1b00000b00000000bb162aae0000000000000000",
    "1962-03-08": "861348941b00000b00000000000040610000000000000000",
    "19620308": "181348901b00000b00000000000000400000000000000000",
    "GRACE HOPPER": "28c323983b00000b000000048b083d000000000000000000",
    "grace hopper": "28c323984b00000b000000048b083d000000000000000000",
    "ada.lovelace@example.org": "670240b05b00000b068705f9461616cf000000001e4fe159",
    "customer-000123": "a89aa19e6b00000b1c50c104162429a70000000000000001",
    "deadbeefcafe01": "0808a21c6b00000b04300a30218c28a10000000000000000",
    "https://a.b/c?d=e#f": "a0a284266b00000b26c1dc1560dd75a900000000003722fe",
    "Ada Lovelace": "010c80987b00000b00004b1c364bb5e60000000000000000",
    "cust_ABC_778899": "699eb19e7b00000bffff7defb00610300000000000000001",
    "DEADBEEFCAFE02": "0808a21c7b00000b03ad8a30218c28a10000000000000000",
    "O'Brien Patrick": "e417a79e8b00000b5c74e5a4280174b40000000000000001",
    "Zoë Müller": "057bed149b00000b00001cb2ecd8f26c0000000000000000",
}


def little_endian(numbers: bytes) -> bytes:
    return b"".join(numbers[at : at + 8][::-1] for at in range(0, len(numbers), 8))


def looking_for(*values: str, window_bytes: int = 1 << 20) -> Needles:
    made = Needles(window_bytes=window_bytes)
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize("value", AS_STORED)
@pytest.mark.parametrize("name", ["neostore.propertystore.db", "neostore.transaction.db.0"])
def test_each_encoding_is_found_at_every_place_around_a_border_of_windows(tmp_path: Path, value: str, name: str) -> None:
    packed = bytes.fromhex(AS_STORED[value])
    if "transaction" in name:
        packed = little_endian(packed)
    file = tmp_path / name
    looked_for = looking_for(value, "Somebody Else", window_bytes=128)

    for at in (0, 1, *range(90, 140), 299):
        file.write_bytes(b"\xff" * at + packed + b"\xff" * (300 - at))

        found = looked_for.scan([tmp_path])

        assert [(f.offset, f.needle) for f in found] == [(at, 0)]
        assert found[0].form == "raw, packed by Neo4j"


@pytest.mark.parametrize("value", AS_STORED)
def test_a_string_at_the_very_end_of_a_file_is_found(tmp_path: Path, value: str) -> None:
    packed = bytes.fromhex(AS_STORED[value])
    (tmp_path / "neostore.propertystore.db").write_bytes(bytes(100) + packed)

    assert looking_for(value).scan([tmp_path])


def test_other_case_of_a_value_is_found(tmp_path: Path) -> None:
    (tmp_path / "neostore.propertystore.db").write_bytes(bytes.fromhex(AS_STORED["grace hopper"]))

    assert looking_for("Grace Hopper").scan([tmp_path])


def test_random_and_empty_records_hold_no_names(tmp_path: Path) -> None:
    (tmp_path / "neostore.propertystore.db").write_bytes(os.urandom(2_000_000) + bytes(100_000) + b"\xff" * 100_000)

    assert looking_for(*AS_STORED).scan([tmp_path]) == []
