"""Profiling files: what columns mean, hold and are good for."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest
from command_line import Facts, Run, facts

GIVEN = ("Anna", "Bob", "Carla", "David", "Emma", "Felix", "Greta", "Hugo", "Irina", "Jonas", "Karin", "Lena")
SURNAMES = ("Berg", "Cole", "Dorn", "Ekman", "Fuchs", "Gomez", "Hahn", "Ivanov", "Jansen", "Klein", "Lang", "Moreau")


def write(file: Path, columns: Mapping[str, Sequence[str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file


def people(n: int, seed: int = 1) -> dict[str, list[str]]:
    """People who all differ."""
    rng = Random(seed)
    given, surname = rng.choices(GIVEN, k=n), [f"{rng.choice(SURNAMES)}{chr(97 + i % 26)}" for i in range(n)]
    return {
        "given_name": given,
        "surname": surname,
        "birth_date": [f"{rng.randint(1940, 2000)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}" for _ in range(n)],
        "email": [f"{g.lower()}.{s.lower()}{i}@mail.example" for i, (g, s) in enumerate(zip(given, surname, strict=True))],
        "phone": [f"+1 212 555 {i:04}" for i in range(n)],
    }


def columns_of(answer: Facts) -> dict[str, Facts]:
    listed = answer["columns"]
    assert isinstance(listed, list)
    return {str(column["name"]): facts(column) for column in listed}


def test_a_profile_says_what_columns_mean_hold_and_are_good_for(tmp_path: Path, run: Run) -> None:
    known = people(600)
    full = [f"{g} {s}" for g, s in zip(known["given_name"], known["surname"], strict=True)]
    gender = ["f", "m"] * 300
    file = write(
        tmp_path / "p.csv", {"id": [str(i) for i in range(600)], **known, "name": full, "sex": gender, "x": [""] * 600}
    )

    found = columns_of(run("profile", file, "--json").facts)

    assert {name: column["use"] for name, column in found.items()} == {
        "id": "record id", "given_name": "describes", "surname": "describes", "birth_date": "identifies", "email": "identifies",
        "phone": "identifies", "name": "derived", "sex": "describes", "x": "empty", "source": "source",
    }  # fmt: skip
    assert found["phone"]["completeness"] == found["phone"]["validity"] == found["phone"]["distinctness"] == 1.0


def test_placeholders_are_found_by_list_and_by_data(tmp_path: Path, run: Run) -> None:
    known = people(400)
    known["phone"][:60] = ["+1 212 555 9876"] * 60
    known["phone"][60:63] = ["9999999999", "n/a", "000-000-0000"]
    known["email"][:2] = ["test@test.com", "unbekannt"]
    known["birth_date"][0] = "1900-01-01"

    found = columns_of(run("profile", write(tmp_path / "p.csv", known), "--json", "--write-columns", "c.yaml").facts)

    def placeholders(name: str) -> dict[str, str]:
        listed = found[name]["placeholders"]
        assert isinstance(listed, list)
        return {p["value"]: p["found"] for p in listed}

    assert placeholders("phone") == {
        "+1 212 555 9876": "frequent", "9999999999": "listed", "n/a": "listed", "000-000-0000": "listed",
    }  # fmt: skip
    assert placeholders("email") == {"test@test.com": "listed", "unbekannt": "listed"}
    assert placeholders("birth_date") == {"1900-01-01": "listed"}
    assert found["phone"]["filled"] == 337
    assert 'placeholders: ["+1 212 555 9876"]' in Path("c.yaml").read_text(encoding="utf-8")


def test_what_profile_writes_link_takes(tmp_path: Path, run: Run) -> None:
    file = write(tmp_path / "p.csv", people(60))

    profiled = run("profile", file, "--write-columns", "columns.yaml")
    linked = run("link", file, "--out", "out.csv", "--columns", "columns.yaml", "--json")

    assert profiled.code == linked.code == 0
    assert linked.facts["records"] == 60


def test_values_that_are_wrong_for_their_type_lower_validity(tmp_path: Path, run: Run) -> None:
    known = people(100)
    known["email"][:10] = ["nobody at home"] * 10
    known["birth_date"][:25] = [f"1980-02-{31 + i % 9}" for i in range(25)]

    found = columns_of(run("profile", write(tmp_path / "p.csv", known), "--json").facts)

    assert (found["email"]["validity"], found["birth_date"]["validity"]) == (0.9, 0.75)


def test_check_digits_tell_a_number_of_which_the_name_says_nothing(tmp_path: Path, run: Run) -> None:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    numbers = [f"{n}{letters[n % 23]}" for n in range(10_000_000, 10_000_000 + 97 * 40, 97)] * 2

    found = columns_of(run("profile", write(tmp_path / "p.csv", {"codigo": numbers, **people(80)}), "--json").facts)

    assert (found["codigo"]["meaning"], found["codigo"]["numbers"]) == ("national_id", "es.dni")


@pytest.mark.parametrize(
    ("given", "surname", "born", "street", "city", "phone"),
    [
        ("Vorname", "Nachname", "Geburtsdatum", "Straße", "Ort", "Telefon"),
        ("prénom", "nom", "date de naissance", "rue", "ville", "téléphone"),
        ("nombre", "apellidos", "fecha de nacimiento", "calle", "ciudad", "teléfono"),
        ("nome", "cognome", "data di nascita", "via", "città", "telefono"),
        ("nome", "apelido", "data de nascimento", "rua", "cidade", "telemóvel"),
        ("voornaam", "achternaam", "geboortedatum", "straat", "woonplaats", "telefoon"),
        ("imię", "nazwisko", "data urodzenia", "ulica", "miasto", "telefon"),
        ("förnamn", "efternamn", "födelsedatum", "gata", "postort", "mobil"),
    ],
)
def test_columns_are_known_in_many_languages_and_any_order(
    given: str, surname: str, born: str, street: str, city: str, phone: str, tmp_path: Path, run: Run
) -> None:
    known = people(40)
    file = write(
        tmp_path / "p.csv",
        {
            phone: known["phone"], city: ["Ely", "York"] * 20, born: known["birth_date"], surname: known["surname"],
            street: [f"Elm {i}" for i in range(40)], given: known["given_name"],
        },
    )  # fmt: skip

    found = columns_of(run("profile", file, "--json").facts)

    assert [found[name]["meaning"] for name in (given, surname, born, street, city, phone)] == [
        "given_name", "surname", "birth_date", "street", "city", "phone",
    ]  # fmt: skip


def test_values_decide_where_names_say_nothing(tmp_path: Path, run: Run) -> None:
    known = people(60)
    names = [f"{g} {s}" for g, s in zip(known["given_name"], known["surname"], strict=True)]
    firms = [f"{s} {form}" for s, form in zip(known["surname"], ["GmbH", "Ltd", "Trading"] * 20, strict=True)]
    streets = [f"{i} Elm Road" for i in range(60)]
    file = write(tmp_path / "p.csv", {"a": names, "b": known["email"], "c": known["phone"], "d": firms, "e": streets})

    found = columns_of(run("profile", file, "--json").facts)

    assert {name: found[name]["meaning"] for name in "abcde"} == {
        "a": "person_name", "b": "email", "c": "phone", "d": "employer", "e": "street",
    }  # fmt: skip


def test_people_get_a_table(tmp_path: Path, run: Run) -> None:
    ran = run("profile", write(tmp_path / "p.csv", people(50)))

    assert ran.code == 0
    assert any("phone" in line and "identifies" in line and "100%" in line for line in ran.out.splitlines())


def test_a_source_in_which_nobody_comes_twice_is_noticed_where_others_repeat_them(tmp_path: Path, run: Run) -> None:
    known = people(300)
    twice = [*range(0, 60), *range(0, 60, 2)]
    clean = write(tmp_path / "clean.csv", known)
    messy = write(tmp_path / "messy.csv", {name: [values[i] for i in twice] for name, values in known.items()})

    both, alone = run("profile", clean, messy, "--json"), run("profile", clean, "--json")
    told = run("profile", clean, messy)

    assert both.facts["clean_sources"] == [{"source": "clean", "records": 300, "shared": 60}]
    assert alone.facts["clean_sources"] == []
    assert "--duplicate-free clean" in " ".join(told.err.split())
