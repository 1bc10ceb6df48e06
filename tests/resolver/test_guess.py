"""Guessing what columns mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldenthread.graph.model import Cardinality, PiiCategory, SemanticType, Survivorship
from goldenthread.resolver.bulk.errors import GuessInvalid
from goldenthread.resolver.bulk.guess import (
    ColumnGuess,
    GuessedColumn,
    Role,
    compared_columns,
    data_model,
    from_yaml,
    guess_columns,
    to_yaml,
)
from goldenthread.resolver.bulk.guess_file import Format
from goldenthread.resolver.bulk.read import Table
from goldenthread.resolver.bulk.vocabulary import vocabulary

T = SemanticType


def table(**columns: list[str]) -> Table:
    """A table of one source."""
    rows = len(next(iter(columns.values())))
    return Table({**columns, "source": ["crm"] * rows}, rows, ("crm",), "source")


def guessed(values: list[str], name: str = "x") -> GuessedColumn:
    """What a column is guessed to be."""
    return next(column for column in guess_columns(table(**{name: values})).columns if column.name == name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("first_name", T.GIVEN_NAME), ("FirstName", T.GIVEN_NAME), ("Vorname", T.GIVEN_NAME), ("Prénom", T.GIVEN_NAME),
        ("nombre", T.GIVEN_NAME), ("middle_initial", T.MIDDLE_NAME), ("Nachname", T.SURNAME), ("nom", T.SURNAME),
        ("apellido", T.SURNAME), ("LAST NAME", T.SURNAME), ("full_name", T.PERSON_NAME), ("maiden_name", T.OTHER_NAME),
        ("dob", T.BIRTH_DATE), ("Geburtsdatum", T.BIRTH_DATE), ("date_of_birth", T.BIRTH_DATE), ("DateNaissance", T.BIRTH_DATE),
        ("sex", T.GENDER), ("Geschlecht", T.GENDER), ("e-mail", T.EMAIL), ("primaryEmail", T.EMAIL), ("correo", T.EMAIL),
        ("tel", T.PHONE), ("mobile_phone_2", T.PHONE), ("Telefonnummer", T.PHONE), ("home_phone", T.PHONE),
        ("plz", T.POSTCODE), ("zipcode", T.POSTCODE), ("postcode_fake", T.POSTCODE), ("code postal", T.POSTCODE),
        ("ort", T.CITY), ("suburb", T.CITY), ("billing_city", T.CITY), ("Straße", T.STREET), ("address_1", T.STREET),
        ("street_name", T.STREET), ("street_number", T.HOUSE_NUMBER), ("Hausnr", T.HOUSE_NUMBER), ("address_2", T.UNIT),
        ("unit_number", T.UNIT), ("state", T.REGION), ("Bundesland", T.REGION), ("country", T.COUNTRY), ("pays", T.COUNTRY),
        ("ssn", T.NATIONAL_ID), ("national_insurance_number", T.NATIONAL_ID), ("tax_id", T.TAX_ID), ("Steuernummer", T.TAX_ID),
        ("passport_no", T.PASSPORT), ("driver_license_number", T.DRIVERS_LICENCE), ("account_number", T.CUSTOMER_ACCOUNT),
        ("loyalty_card_number", T.LOYALTY_ACCOUNT), ("device_id", T.DEVICE), ("employer", T.EMPLOYER), ("beruf", T.OCCUPATION),
        ("job_title", T.OCCUPATION), ("place_of_birth", T.BIRTH_PLACE), ("city_of_birth", T.BIRTH_PLACE), ("username", None),
        ("product_name", None), ("race_ethnicity", None), ("email_opt_in", None), ("order_status", None),
    ],
)  # fmt: skip
def test_names_of_columns_are_known(name: str, kind: SemanticType | None) -> None:
    assert vocabulary().type_of(name) is kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a@b.example", "c.d@e.example", "n/a", "x@y.example", "z@y.example"], T.EMAIL),
        (["+44 20 7946 0018", "(212) 555-0187", "212-555-0199"], T.PHONE),
        (["1980-02-29", "1975-11-01", "1999-08-15"], T.BIRTH_DATE),
        (["19800229", "19751101", "19990815"], T.BIRTH_DATE),
        (["02/29/1980", "11/01/1975", "08/15/1999"], T.BIRTH_DATE),
        (["29.2.1980", "1.11.1975", "15.8.1999"], T.BIRTH_DATE),
        (["29 Feb 1980", "November 1, 1975", "15 aug 1999"], T.BIRTH_DATE),
        (["SW1A 2JH", "l3 0ah", "M1 1AE"], T.POSTCODE),
        (["123-45-6789", "987-65-4321"], T.NATIONAL_ID),
        (["male", "female", "female", "male"], T.GENDER),
        (["WA", "CA", "NY", "TX", "ca"], T.REGION),
        (["nsw", "vic", "qld", "tas"], T.REGION),
        (["William", "Kate", "Tom", "Ann", "Xul"], T.GIVEN_NAME),
        (["red", "blue", "red"], T.FREE),
    ],
)
def test_values_tell_where_names_do_not(values: list[str], kind: SemanticType) -> None:
    assert guessed(values).type is kind


@pytest.mark.parametrize(
    ("values", "format", "first"),
    [
        (["1964-02-19", "1964-12-31"], "", "1964-02-19"),
        (["19640219", "19641231"], "", "19640219"),
        (["06/09/2001", "31/12/1964"], "dmy", "2001-09-06"),
        (["06/09/2001", "12/31/1964"], "mdy", "2001-06-09"),
        (["06.09.71", "31.12.64"], "dmy", "1971-09-06"),
        (["06092001", "31121964"], "dmy", "2001-09-06"),
        (["23426", "37051.0"], "serial", "1964-02-19"),
        (["1964", "1971"], "", "1964"),
    ],
)
def test_dates_are_read_as_their_column_writes_them(values: list[str], format: Format, first: str) -> None:
    one = table(dob=values)

    guess = guess_columns(one)

    assert [(column.type, column.format) for column in guess.attributes] == [(T.BIRTH_DATE, format)]
    assert compared_columns(one, guess)["dob"][0] == first


def test_whole_numbers_with_a_decimal_point_lose_it() -> None:
    one = table(postcode=["12345.0", "2000.0", ""], ssn=["5071854.0", "1.0", "x"])

    assert compared_columns(one, guess_columns(one)) == {"postcode": ["12345", "2000", ""], "ssn": ["5071854", "1", "x"]}


def test_a_name_that_its_values_belie_is_not_believed() -> None:
    one = table(email=["yes", "no", "yes"], dob=["red", "blue", "red"])

    guess = guess_columns(one)

    assert [column.type for column in guess.attributes] == [T.FREE, T.FREE]
    assert len([warning for warning in guess.warnings if "holds few" in warning]) == 2


def names(n: int) -> dict[str, list[str]]:
    """Given names and surnames of n people."""
    return {
        "first_name": [f"{'abcdefghij'[i % 10]}nn" for i in range(n)],
        "surname": [f"{'klmnopqrst'[i // 10 % 10]}ee{'uvwxy'[i % 5]}" for i in range(n)],
    }


def test_columns_that_repeat_others_are_ignored() -> None:
    people = names(50)
    pairs = list(zip(people["first_name"], people["surname"], strict=True))
    one = table(
        **people,
        first_and_surname=[f"{first} {last}" for first, last in pairs],
        name=[f"{last}, {first}" for first, last in pairs],
        initial=[first[0] for first, _ in pairs],
        surname_copy=[last.upper() for _, last in pairs],
    )

    found = {column.name: column.why for column in guess_columns(one).columns if column.role == "ignored"}

    assert found == {
        "first_and_surname": "joins first_name and surname",
        "name": "joins surname and first_name",
        "initial": "is the beginning of first_name",
        "surname_copy": "repeats surname",
    }


def test_a_full_name_with_more_than_its_parts_is_kept() -> None:
    people = names(50)
    full = [f"{first} middle {last}" for first, last in zip(people["first_name"], people["surname"], strict=True)]

    guess = guess_columns(table(**people, full_name=full))

    assert {column.name: column.type for column in guess.attributes}["full_name"] is T.PERSON_NAME


def test_the_record_id_is_the_unique_column_that_is_named_so() -> None:
    ids = [str(i) for i in range(30)]

    assert guess_columns(table(order_id=ids, customer_id=ids[:15] * 2, record_id=ids)).record_id == "record_id"
    assert guess_columns(table(customer_id=ids, **names(30))).record_id == "customer_id"


def test_ids_that_repeat_across_sources_are_still_record_ids() -> None:
    one = Table({"id": ["1", "2", "1", "2"], "source": ["a", "a", "b", "b"]}, 4, ("a", "b"), "source")

    assert guess_columns(one).record_id == "id"


def test_an_id_that_repeats_is_warned_of_and_not_used() -> None:
    guess = guess_columns(table(id=["1", "1", "2"], first_name=["Ann", "Bo", "Cy"]))

    assert guess.record_id == ""
    assert "not unique" in guess.warnings[0]


@pytest.mark.parametrize("name", ["truth_id", "cluster_id", "entity_id", "truthId"])
def test_a_column_that_looks_like_the_truth_is_warned_of(name: str) -> None:
    guess = guess_columns(table(record_id=["1", "2", "3"], **{name: ["t1", "t1", "t2"]}))

    assert f"--ignore {name}" in guess.warnings[0]
    assert guess.record_id == "record_id"


def test_columns_that_say_nothing_are_ignored() -> None:
    n = 40
    one = table(
        **names(n), empty=[""] * n, same=["x"] * n, updated_at=["2024-01-02 10:00"] * n,
        token=[f"q{i * 7919}" for i in range(n)], signup_date=[f"2024-01-{i % 28 + 1:02}" for i in range(n)],
    )  # fmt: skip

    found = {column.name: column.why for column in guess_columns(one).columns if column.role == "ignored"}

    assert found == {
        "empty": "empty",
        "same": "the same in all records",
        "token": "different in nearly every record",
        "updated_at": "the same in all records",
        "signup_date": "dates, but not named like birth dates",
    }


@pytest.mark.parametrize(
    ("columns", "country"),
    [
        ({"state": ["nsw", "vic", "qld"]}, "AU"),
        ({"postcode": ["SW1A 2JH", "M1 1AE"]}, "GB"),
        ({"plz": ["10115", "80331"], "vorname": ["Uwe", "Ute"]}, "DE"),
        ({"country": ["FR", "FR", "US"]}, "FR"),
        ({"zip": ["10001", "94105"], "state": ["NY", "CA"]}, "US"),
        ({"colour": ["red", "blue"]}, "US"),
    ],
)
def test_the_country_is_guessed(columns: dict[str, list[str]], country: str) -> None:
    assert guess_columns(table(**columns)).default_country == country


def test_company_is_an_employer_beside_a_person_and_an_organisation_alone() -> None:
    company = ["Acme", "Bolt", "Acme"]

    assert guess_columns(table(company=company, surname=["Lee", "Ng", "Ott"])).attributes[0].type is T.EMPLOYER
    assert guess_columns(table(company=company)).attributes[0].type is T.ORGANISATION_NAME


def test_an_address_beside_a_city_is_a_street() -> None:
    address = ["1 Elm St", "2 Oak Rd"]

    assert guess_columns(table(address=address, city=["Dover", "Leeds"])).attributes[0].type is T.STREET
    assert guess_columns(table(address=[f"{line}, Dover" for line in address])).attributes[0].type is T.ADDRESS


def test_what_is_declared_goes_before_what_is_guessed() -> None:
    one = table(
        code=[f"X{i}" for i in range(30)], mail=["a@b.example"] * 30, born=["13/02/1980"] * 29 + ["when"], city=["Rome"] * 30,
        address=["1 Elm St", "2 Oak Rd"] * 15,
    )  # fmt: skip
    declared = {"code": T.LOYALTY_ACCOUNT, "mail": T.FREE, "born": T.BIRTH_DATE, "address": T.ADDRESS}

    found = {column.name: (column.type, column.format) for column in guess_columns(one, declared).attributes}

    assert found == {
        "code": (T.LOYALTY_ACCOUNT, ""), "mail": (T.FREE, ""), "born": (T.BIRTH_DATE, "dmy"), "city": (T.CITY, ""),
        "address": (T.STREET, ""),
    }  # fmt: skip


def test_the_data_model_says_how_values_survive() -> None:
    guess = guess_columns(
        table(dob=["1980-02-29"] * 2, email=["a@b.example", "c@d.example"], race=["a", "b"], ssn=["12345", "67890"])
    )

    model = data_model(guess)

    assert [(a.name, a.pii_category) for a in model.attributes] == [
        ("dob", PiiCategory.PERSONAL), ("email", PiiCategory.CONTACT),
        ("race", PiiCategory.SPECIAL), ("ssn", PiiCategory.DOCUMENT),
    ]  # fmt: skip
    assert (model.attributes[0].cardinality, model.attributes[0].survivorship) == (Cardinality.ONE, Survivorship.MOST_FREQUENT)
    assert model.attributes[1].cardinality is Cardinality.MANY


FORMATS: list[Format] = ["", "dmy", "decimal"]
ROLES: list[Role] = ["record_id", "source", "ignored"]


@st.composite
def guesses(draw: st.DrawFn) -> ColumnGuess:
    """Guesses with all sorts of column names, as edited: without facts."""
    column_names = draw(
        st.lists(st.text(min_size=1, max_size=8) | st.sampled_from(["yes", "null", "1", "a: b", "#x"]), unique=True, min_size=1)
    )
    columns = []
    for name in column_names:
        if draw(st.booleans()):
            kind = draw(st.sampled_from([kind for kind in SemanticType if kind]))
            format: Format = draw(st.sampled_from(FORMATS))
            columns.append(GuessedColumn(name, "attribute", kind, "", format=format))
        else:
            taken = {column.role for column in columns}
            free = [role for role in ROLES if role not in taken or role == "ignored"]
            columns.append(GuessedColumn(name, draw(st.sampled_from(free)), T.UNSPECIFIED, ""))
    return ColumnGuess(tuple(columns), draw(st.sampled_from(["US", "NO"])))


@given(guesses())
def test_a_guess_survives_being_written_and_read(guess: ColumnGuess) -> None:
    assert from_yaml(to_yaml(guess)) == guess


def test_the_written_guess_explains_itself() -> None:
    text = to_yaml(guess_columns(table(record_id=["1", "2"], first_name=["Ann", "Bo"], dob=["31/12/1964", "06/09/2001"])))

    assert "  first_name: given_name # named like a given name; 100% filled, 2 distinct\n" in text
    assert "  dob: {role: birth_date, format: dmy} # " in text


@pytest.mark.parametrize(
    ("text", "row", "column", "says"),
    [
        ("", 1, "", "holds no fields"),
        ("columns:\n  a: city\n b: c\n", 3, "", "not YAML"),
        ("columns:\n  a: city\n  b: surnme\n", 3, "b", "perhaps surname is meant"),
        ("columns:\n  a: city\n  a: city\n", 3, "a", "twice"),
        ("columns:\n  a: {role: city, formt: dmy}\n", 2, "a", "formt is no field"),
        ("columns:\n  a: {role: city, format: ymd}\n", 2, "a", "ymd is no format"),
        ("columns:\n  a: {format: dmy}\n", 2, "a", "no role"),
        ("columns:\n  a: [city]\n", 2, "a", "single word"),
        ("columns: 3\n", 1, "columns", "holds no fields"),
        ("country: USA\ncolumns:\n  a: city\n", 1, "country", "two letters"),
        ("colums:\n  a: city\n", 1, "colums", "no field"),
        ("country: US\n", 0, "", "no field columns"),
        ("columns:\n  a: source\n  b: source\n", 2, "b", "both source"),
        ("columns:\n  a: \x07\n", 0, "", "characters"),
    ],
)
def test_a_wrong_edit_is_named_by_line_and_column(text: str, row: int, column: str, says: str) -> None:
    with pytest.raises(GuessInvalid, match=says) as caught:
        from_yaml(text)

    assert (caught.value.row, caught.value.column) == (row, column)
