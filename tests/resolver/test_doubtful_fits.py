"""Data made to break learning: what went wrong is recognised and said, and no two people become one."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from goldenthread.graph.model import SemanticType
from goldenthread.resolver.bulk.link import LinkResult, link
from goldenthread.resolver.evaluate import Evaluation, evaluate

TYPES = {
    "first": SemanticType.GIVEN_NAME,
    "last": SemanticType.SURNAME,
    "born": SemanticType.BIRTH_DATE,
    "mail": SemanticType.EMAIL,
    "number": SemanticType.HOUSE_NUMBER,
    "street": SemanticType.STREET,
    "town": SemanticType.CITY,
}
SYLLABLES = ("ba", "ler", "mi", "no", "sta", "ver", "ko", "rin", "dal", "fe", "gus", "ho", "tam", "wil", "pe", "zor")

Row = dict[str, str]


@dataclass
class Table:
    """Records as linking sees them; `truth` says who each is."""

    columns: dict[str, list[str]]
    truth: list[int]
    source_column: str = "source"
    record_id_column: str = "id"

    @property
    def rows(self) -> int:
        return len(self.truth)


def word(random: Random, syllables: int) -> str:
    return "".join(random.choices(SYLLABLES, k=syllables))


def person(random: Random, **known: str) -> Row:
    born = f"{random.randint(1930, 2005)}-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}"
    return {
        "first": word(random, 2), "last": word(random, 3), "born": born, "mail": f"{word(random, 4)}@example.org",
        "number": str(random.randint(1, 250)), "street": f"{word(random, 3)} street", "town": "ely", **known,
    }  # fmt: skip


def table(people: list[list[Row]]) -> Table:
    rows = [row for records in people for row in records]
    columns = {name: [row[name] for row in rows] for name in TYPES}
    columns |= {"id": [str(i) for i in range(len(rows))], "source": ["ab"[i % 2] for i in range(len(rows))]}
    return Table(columns, [who for who, records in enumerate(people) for _ in records])


def some_twice(count: int, seed: int, **known: str) -> Table:
    """People of whom every second has two records, one of them without an email."""
    random = Random(seed)
    people = [person(random, **known) for _ in range(count)]
    return table([[one, {**one, "mail": ""}] if i % 2 else [one] for i, one in enumerate(people)])


def families(count: int, seed: int, *own: str) -> Table:
    """Families of four at one address with one mailbox, each person with one record and only some values of its own."""
    random = Random(seed)
    shared = [{k: v for k, v in person(random).items() if k not in own} for _ in range(count)]
    return table([[person(random, **family)] for family in shared for _ in range(4)])


def slipped(random: Random, text: str) -> str:
    """One letter or digit is another."""
    at = random.randrange(len(text) - 2, len(text))
    return text[:at] + random.choice("12" if text[at].isdigit() else "aeiou") + text[at + 1 :]


def fathers_and_sons(count: int, seed: int) -> Table:
    """Fathers and sons in one town, some of one name; each has records that err in a name or the birth date."""
    random = Random(seed)
    people = []
    for _ in range(count):
        father = person(random, mail="", number="", street="", town=word(random, 2))
        son = {**father, "first": father["first"] if random.random() < 0.3 else word(random, 2), "born": person(random)["born"]}
        for one in (father, son):
            errs = [{**one, which: slipped(random, one[which])} for which in random.sample(("first", "last", "born"), 2)]
            people.append([one, *errs][: random.randint(1, 3)])
    return table(people)


def linked(records: Table) -> tuple[LinkResult, Evaluation]:
    result = link(records, TYPES)
    return result, evaluate(records.truth, result.identities)


def test_one_household_of_many_people_is_not_one_person():
    _, found = linked(some_twice(300, 1, last="smith", number="1", street="main street"))

    assert found.pairwise_f1 > 0.98


def test_a_constant_name_column_tells_nothing_and_harms_nothing():
    _, found = linked(some_twice(300, 2, first="john"))

    assert found.pairwise_f1 > 0.98


def test_two_sources_without_overlap_are_said_to_hold_no_duplicates():
    random = Random(3)

    result, found = linked(table([[person(random)] for _ in range(400)]))

    assert found.claimed_pairs == 0
    assert not result.report.learned
    assert any("too few duplicates" in warning for warning in result.report.warnings)


def test_families_without_duplicates_are_recognised_as_such_and_stay_apart():
    result, found = linked(families(150, 4, "first", "born"))

    assert found.claimed_pairs == 0
    assert any("too few duplicates" in warning for warning in result.report.warnings)


def test_a_fit_that_takes_families_for_persons_is_dropped_and_said():
    result, _ = linked(families(150, 4, "first"))

    assert any("mostly differ in given_name" in warning for warning in result.report.warnings)
    assert any("fit was dropped" in warning for warning in result.report.warnings)


def test_father_and_son_of_one_name_are_two_where_further_records_bear_out_both_birth_dates():
    _, found = linked(fathers_and_sons(300, 6))

    assert found.pairwise_precision > 0.95
    assert found.pairwise_f1 > 0.9


def test_good_data_raises_no_doubt():
    result, found = linked(some_twice(300, 5))

    assert found.pairwise_f1 > 0.98
    assert result.report.warnings == ()
