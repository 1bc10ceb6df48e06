"""Resolve one file with Splink on DuckDB, in Splink's own environment: FILE ANSWER [--settings …] [--threads N].

Settings: `documented` are those of Splink's own demonstration of a file that it knows by its columns, else those a competent
user would write down from the documentation in half an hour (`general`); `speed` and `loose` are for made people. The answer
is a Parquet file of record_id and cluster.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import dataclass, field

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

CLUSTER_AT = 0.95
NAMES = {
    "given": ("first_name", "given_name", "forename", "firstname", "fname", "voornaam", "vorname", "prenom", "nombre"),
    "surname": ("surname", "last_name", "family_name", "lastname", "lname", "achternaam", "nachname", "nom", "apellido"),
    "birth": ("dob", "date_of_birth", "birth_date", "birthdate", "geburtsdatum"),
    "email": ("email", "e_mail", "email_address"),
    "phone": ("phone", "phone_number", "telephone", "mobile"),
    "postcode": ("postcode", "postal_code", "zip", "zipcode", "zip_code", "postcode_fake"),
    "number": ("ssn", "soc_sec_id", "national_id", "passport", "tax_id"),
    "street": ("street", "street_name", "address", "address_1", "address_line_1"),
    "name": ("name", "full_name", "company", "organisation", "organization"),
}


@dataclass
class Plan:
    """What Splink is told: rules for blocking, comparisons, rules for the prior with their recall, and rules to train by."""

    rules: list = field(default_factory=list)
    comparisons: list = field(default_factory=list)
    certain: list = field(default_factory=list)
    train: list = field(default_factory=list)
    recall: float = 0.7
    sampled_pairs: float = 1e6
    keep_at: float = 0.01
    without_frequencies: bool = True


def with_frequencies(comparison):
    return comparison.configure(term_frequency_adjustments=True)


def febrl(_: set[str]) -> Plan:
    """Splink's demonstration "Febrl3 deduplication"."""
    return Plan(
        rules=[block_on(c) for c in ("ssn", "first_name", "surname", "dob", "postcode")],
        comparisons=[
            cl.NameComparison("first_name"),
            cl.NameComparison("surname"),
            cl.DateOfBirthComparison("dob", input_is_string=True, datetime_format="%Y%m%d"),
            cl.DamerauLevenshteinAtThresholds("ssn", [2]),
            with_frequencies(cl.ExactMatch("street_number")),
            with_frequencies(cl.ExactMatch("postcode")),
        ],
        certain=[
            block_on("ssn"),
            block_on("first_name", "surname", "dob"),
            "l.first_name = r.surname and l.surname = r.first_name and l.dob = r.dob",
        ],
        train=[block_on("dob"), block_on("postcode")],
        recall=0.9,
        without_frequencies=False,
    )


def fake(_: set[str]) -> Plan:
    """Splink's demonstration "Deduplicate 1,000 records"."""
    return Plan(
        rules=[block_on(c) for c in ("first_name", "surname", "dob", "email")],
        comparisons=[
            cl.ForenameSurnameComparison("first_name", "surname"),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            with_frequencies(cl.ExactMatch("city")),
            cl.EmailComparison("email"),
        ],
        certain=[
            "l.first_name = r.first_name and levenshtein(r.dob, l.dob) <= 1",
            "l.surname = r.surname and levenshtein(r.dob, l.dob) <= 1",
            "l.first_name = r.first_name and levenshtein(r.surname, l.surname) <= 2",
            "l.email = r.email",
        ],
        train=[block_on("dob"), block_on("email"), block_on("first_name", "surname")],
    )


def historical(_: set[str]) -> Plan:
    """Splink's demonstration "Deduplicate 50k historical persons"."""
    area = "substr(postcode_fake, 1, 3)"
    return Plan(
        rules=[
            block_on("substr(first_name, 1, 3)", "substr(surname, 1, 4)"),
            block_on("surname", "dob"),
            block_on("first_name", "dob"),
            block_on("postcode_fake", "first_name"),
            block_on("postcode_fake", "surname"),
            block_on("dob", "birth_place"),
            block_on(area, "dob"),
            block_on(area, "first_name"),
            block_on(area, "surname"),
            block_on("substr(first_name, 1, 2)", "substr(surname, 1, 2)", "substr(dob, 1, 4)"),
        ],
        comparisons=[
            cl.ForenameSurnameComparison("first_name", "surname", forename_surname_concat_col_name="first_name_surname_concat"),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            cl.PostcodeComparison("postcode_fake"),
            with_frequencies(cl.ExactMatch("birth_place")),
            with_frequencies(cl.ExactMatch("occupation")),
        ],
        certain=[
            block_on("first_name", "surname", "dob"),
            block_on("substr(first_name, 1, 2)", "surname", "substr(postcode_fake, 1, 2)"),
            block_on("dob", "postcode_fake"),
        ],
        train=[block_on("first_name", "surname"), block_on("dob")],
        recall=0.6,
        sampled_pairs=1e7,
    )


def general(columns: set[str]) -> Plan:
    """Choose by the columns' names: names with frequencies, distances for dates and numbers, exact for what describes."""
    of = {role: next((name for name in names if name in columns), None) for role, names in NAMES.items()}
    plan = Plan(sampled_pairs=1e7)
    given, surname, birth = of["given"], of["surname"], of["birth"]
    names = [name for name in (given, surname) if name] or [name for name in (of["name"],) if name]
    plan.comparisons += [with_frequencies(cl.NameComparison(name)) for name in names]
    if birth:
        plan.comparisons.append(cl.DamerauLevenshteinAtThresholds(birth, [1, 2]))
        plan.rules.append(block_on(birth))
        plan.train.append(block_on(birth))
        plan.certain.append(block_on(*names, birth))
    for exact in ("middle_initial", "sex", "gender"):
        if exact in columns:
            plan.comparisons.append(cl.ExactMatch(exact))
    if number := of["number"]:
        plan.comparisons.append(cl.DamerauLevenshteinAtThresholds(number, [1, 2]))
        plan.rules.append(block_on(number))
        plan.certain.append(block_on(number))
    if email := of["email"]:
        plan.comparisons.append(cl.EmailComparison(email))
        plan.rules.append(block_on(email))
        plan.certain.append(block_on(email))
    if phone := of["phone"]:
        plan.comparisons.append(with_frequencies(cl.ExactMatch(phone)))
        plan.rules.append(block_on(phone))
    if "whole_address" in columns:
        plan.comparisons.append(with_frequencies(cl.LevenshteinAtThresholds("whole_address", [2, 4])))
        plan.rules += [block_on("whole_address", name) for name in names]
        plan.certain.append(block_on("whole_address", *names))
    elif postcode := of["postcode"]:
        plan.comparisons.append(with_frequencies(cl.DamerauLevenshteinAtThresholds(postcode, [1])))
        plan.rules += [block_on(postcode, name) for name in names]
    if of["street"] and names:
        plan.rules.append(block_on(of["street"], names[0]))
    plan.rules.append(block_on(*names))
    plan.train.append(block_on(*names))
    if birth and len(names) == 2:
        year = f"substr({birth}, 1, 4)"
        plan.rules.append(block_on(f"substr({given}, 1, 3)", f"substr({surname}, 1, 3)", year))
        plan.rules += [block_on(surname, year), block_on(given, year)]
    plan.certain = plan.certain or [block_on(*names)]
    return plan


def speed(_: set[str]) -> Plan:
    """The documented person model, for made people, with tight blocking."""
    return Plan(
        rules=[
            block_on("first_name", "surname"),
            block_on("surname", "dob"),
            block_on("first_name", "dob"),
            block_on("postcode", "surname"),
            block_on("email"),
            block_on("phone"),
        ],
        comparisons=[
            with_frequencies(cl.NameComparison("first_name")),
            with_frequencies(cl.NameComparison("surname")),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            cl.LevenshteinAtThresholds("postcode", 1),
            cl.EmailComparison("email"),
            cl.LevenshteinAtThresholds("phone", 1),
        ],
        certain=[block_on("first_name", "surname", "dob"), block_on("email")],
        train=[block_on("first_name", "surname"), block_on("dob", "postcode")],
        keep_at=0.5,
    )


def loose(columns: set[str]) -> Plan:
    """The same, with date of birth alone and postcode alone among the rules: some 28 million pairs of a million rows."""
    plan = speed(columns)
    plan.rules = [
        block_on("dob"), block_on("postcode"), block_on("first_name", "surname"), block_on("email"), block_on("phone"),
    ]  # fmt: skip
    return plan


KNOWN = (
    ({"ssn", "address_1", "suburb"}, febrl),
    ({"first_name_surname_concat", "postcode_fake", "birth_place", "occupation"}, historical),
)


def documented(columns: set[str]) -> Plan:
    """Find Splink's own demonstration of a file with these columns."""
    if columns - {"record_id", "source"} == {"first_name", "surname", "dob", "city", "email"}:
        return fake(columns)
    return next((plan for needed, plan in KNOWN if needed <= columns), general)(columns)


SETTINGS = {"documented": documented, "general": general, "speed": speed, "loose": loose}


def load(connection: duckdb.DuckDBPyConnection, file: str) -> set[str]:
    """Read the file as text into table `people`, with the joined columns that Splink's demonstrations make."""
    reader = f"read_parquet('{file}')" if file.endswith(".parquet") else f"read_csv('{file}', all_varchar = true)"
    connection.execute(f"create table people as select * from {reader}")
    columns = [row[0] for row in connection.execute("describe people").fetchall()]
    if "source" in columns:
        connection.execute("alter table people drop column source")
        columns.remove("source")
    if {"first_name", "surname", "postcode_fake"} <= set(columns):
        add(connection, "first_name_surname_concat", "first_name || ' ' || surname")
        columns.append("first_name_surname_concat")
    if {"street_number", "street_name"} <= set(columns):
        unit = "coalesce(unit_number, '')" if "unit_number" in columns else "''"
        add(connection, "whole_address", f"street_number || ' ' || street_name || ' ' || {unit}")
        columns.append("whole_address")
    return set(columns)


def add(connection: duckdb.DuckDBPyConnection, column: str, expression: str) -> None:
    connection.execute(f"alter table people add column {column} varchar")
    connection.execute(f"update people set {column} = {expression}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("answer")
    parser.add_argument("--settings", choices=SETTINGS, default="documented")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    connection = duckdb.connect()
    connection.execute(f"set threads = {chosen.threads}")
    plan = SETTINGS[chosen.settings](load(connection, chosen.file))
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="record_id",
        blocking_rules_to_generate_predictions=plan.rules,
        comparisons=plan.comparisons,
        retain_intermediate_calculation_columns=False,
        retain_matching_columns=False,
    )
    linker = Linker(DuckDBAPI(connection=connection).register(connection.table("people")), settings)
    linker.training.estimate_probability_two_random_records_match(plan.certain, recall=plan.recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=plan.sampled_pairs, seed=5)
    for rule in plan.train:
        further = {"estimate_without_term_frequencies": True} if plan.without_frequencies else {}
        linker.training.estimate_parameters_using_expectation_maximisation(rule, **further)
    predicted = linker.inference.predict(threshold_match_probability=plan.keep_at)
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold_match_probability=CLUSTER_AT)
    relation = clusters.as_duckdbpyrelation().project("record_id, cluster_id as cluster")
    relation.write_parquet(chosen.answer)
    pairs = predicted.as_duckdbpyrelation().aggregate("count(*)").fetchall()[0][0]
    print(json.dumps({"work_seconds": time.perf_counter() - began, "pairs_kept": pairs}))


if __name__ == "__main__":
    main()
