"""After any history the identities are those of one bulk run over what remains, and its past can be read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from laws.oracle import Key, Partition, Remaining, Steward, content_of, partition_of
from laws.running import Running

from goldenthread.graph.model import LIVE, AttributeValue, EdgeKind, NodeKind, PartialDate, SemanticType
from goldenthread.graph.store import Reader
from goldenthread.resolver.clusters import ClusterSettings
from goldenthread.resolver.guards import GuardRails, Guards, IdentifierLimit
from goldenthread.resolver.scoring import MatchModel
from goldenthread.server.commands import linking
from goldenthread.server.commands.decisions.create import CannotLink, MustLink, create_decision
from goldenthread.server.commands.decisions.effects import Decided
from goldenthread.server.commands.decisions.identities import merge_identities, split_identity
from goldenthread.server.commands.decisions.kept import DecisionTerms
from goldenthread.server.commands.decisions.undo import expire_decisions, undo_decision
from goldenthread.server.commands.delete_record import delete_record
from goldenthread.server.commands.engine import Engine
from goldenthread.server.commands.idempotency import Request
from goldenthread.server.commands.identities import living
from goldenthread.server.commands.prepare_record import record_alias
from goldenthread.server.commands.read_records import BySourceKey
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import FailedPrecondition, NotFound
from goldenthread.server.sight import EVERYBODY

GENERIC_LIMIT = 3
"""So few profiles make a key generic that histories cross the limit, both ways."""

DAY = 86_400 * 1_000_000
BEGIN = 20_000 * DAY
NO_REQUEST = Request("", b"")
WALKED = frozenset({NodeKind.RECORD, NodeKind.IDENTIFIER, NodeKind.BLOCK, NodeKind.IDENTITY})

KEYS: list[Key] = [(source, f"{number}") for source in ("crm", "till") for number in range(7)]

GUARDS = [
    GuardRails(),
    GuardRails(duplicate_free=("till",), verifying=("crm",)),
    GuardRails(never_overlap=(("crm", "till"),)),
    GuardRails(limits=(IdentifierLimit("email", 1, days=3), IdentifierLimit("phone", 1)), priority=("phone",), max_records=2),
]


def text(attribute: str, type: SemanticType, value: str) -> AttributeValue:
    return AttributeValue(attribute, type, value)


def said(given: str, surname: str, born: int, email: str, phone: str) -> tuple[AttributeValue, ...]:
    """Make the attributes of a person; what is empty is left out."""
    born_on = PartialDate(1960 + born, born, 3 * born)
    values = [
        text("given_name", SemanticType.GIVEN_NAME, given) if given else None,
        text("surname", SemanticType.SURNAME, surname) if surname else None,
        AttributeValue("birth_date", SemanticType.BIRTH_DATE, born_on) if born else None,
        text("email", SemanticType.EMAIL, email) if email else None,
        text("phone", SemanticType.PHONE, phone) if phone else None,
    ]
    return tuple(value for value in values if value is not None)


def people() -> st.SearchStrategy[tuple[AttributeValue, ...]]:
    """Few names, mailboxes, phones and dates, so that anybody may be anybody."""
    return st.builds(
        said,
        st.sampled_from(["Anna", "Anne", "Robert", ""]),
        st.sampled_from(["Smith", "Smyth", "Zuse"]),
        st.integers(0, 2),
        st.sampled_from(["anna.smith@example.com", "zuse@example.org", "info@example.net", ""]),
        st.sampled_from(["+12025550123", "+12025550188", ""]),
    )


class Histories(RuleBasedStateMachine):
    """A tenant that things happen to, beside what remains of them."""

    running: Running

    def __init__(self) -> None:
        super().__init__()
        self.tenant = self.running.new_tenant()
        self.remaining = Remaining()
        self.past: dict[int, Partition] = {}
        self.cut: dict[Key, int] = {}
        """Revision at which something of a record was last deleted."""
        self.revision = 0
        self.before_last: dict[bytes, frozenset[Key]] = {}
        """The identities before what made this revision."""
        self.identities: dict[bytes, frozenset[Key]] = {}
        self.ever: dict[bytes, frozenset[Key]] = {}
        """Records that an identity last had."""
        self.held: dict[bytes, frozenset[Key]] = {}
        """Records that an identity had at any time: undoing a decision may give it back to any of them."""

    @initialize(guards=st.sampled_from(GUARDS))
    def guard(self, guards: GuardRails) -> None:
        self.tenant.guards = Guards(guards)

    @rule(batch=st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 9), people()), min_size=1, max_size=6))
    def upsert(self, batch: list[tuple[Key, int, tuple[AttributeValue, ...]]]) -> None:
        for key, day, attributes in batch:
            self.remaining.put(key, BEGIN + day * DAY, attributes)
        contents = [
            content_of(key, BEGIN + day * DAY, self.remaining.versions[key].get(BEGIN + day * DAY, attributes))
            for key, day, attributes in batch
        ]

        self.running.upsert(self.tenant, contents)

    @precondition(lambda self: self.remaining.live())
    @rule(data=st.data(), day=st.integers(0, 10))
    def delete(self, data: st.DataObject, day: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.remaining.live())))
        until = BEGIN + day * DAY

        deleted = self.running.run(
            delete_record(self.running.engine, self.tenant, BySourceKey(*key), until, NO_REQUEST, EVERYBODY)
        )

        self.remaining.delete(key, until)
        self.cut[key] = deleted.revision

    @precondition(lambda self: len(self.identities) > 1)
    @rule(data=st.data(), overrides=st.booleans(), due=st.integers(0, 3))
    def merge(self, data: st.DataObject, overrides: bool, due: int) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.groups()), min_size=2, max_size=3, unique=True))
        ids = [self.identity_of(group) for group in chosen]
        terms = terms_of(overrides, due)

        self.decide(
            lambda engine: merge_identities(engine, self.tenant, ids, terms, NO_REQUEST, EVERYBODY, preview=False),
            terms,
            must=True,
            left=frozenset(key for group in chosen for key in group),
        )

    @precondition(lambda self: any(len(records) > 1 for records in self.identities.values()))
    @rule(data=st.data(), due=st.integers(0, 3))
    def split(self, data: st.DataObject, due: int) -> None:
        records = data.draw(st.sampled_from([group for group in self.groups() if len(group) > 1]))
        off = data.draw(st.lists(st.sampled_from(records), min_size=1, max_size=len(records) - 1, unique=True))
        id, named, terms = self.identity_of(records), self.ids_of(off), terms_of(False, due)

        self.decide(
            lambda engine: split_identity(engine, self.tenant, id, named, terms, NO_REQUEST, EVERYBODY, preview=False),
            terms,
            must=False,
            left=frozenset(records) - set(off),
            right=frozenset(off),
        )

    @precondition(lambda self: sum(map(len, self.identities.values())) > 1)
    @rule(data=st.data(), must=st.booleans(), overrides=st.booleans(), due=st.integers(0, 3))
    def link_or_unlink(self, data: st.DataObject, must: bool, overrides: bool, due: int) -> None:
        live = sorted(key for group in self.groups() for key in group)
        chosen = data.draw(st.lists(st.sampled_from(live), min_size=2, max_size=4, unique=True))
        place = data.draw(st.integers(1, len(chosen) - 1))
        sides = [[("records", id) for id in self.ids_of(side)] for side in (chosen[:place], chosen[place:])]
        terms = terms_of(overrides, due)
        ruled = MustLink(*sides) if must else CannotLink(*sides)

        self.decide(
            lambda engine: create_decision(engine, self.tenant, ruled, terms, NO_REQUEST, EVERYBODY, preview=False),
            terms,
            must=must,
            left=frozenset(chosen[:place]),
            right=frozenset(chosen[place:]),
        )

    @precondition(lambda self: self.remaining.decisions)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.remaining.decisions) - 1))
        decision = self.remaining.decisions.pop(place)

        self.running.run(
            undo_decision(
                self.running.engine, self.tenant, decision.id, "steward", "not so", NO_REQUEST, EVERYBODY, preview=False
            )
        )

        if self.revision == decision.revision:  # nothing happened since: everything is as it was before it, the ids as well
            assert self.running.partition(self.tenant, KEYS) == self.before_last

    @precondition(lambda self: any(decision.due for decision in self.remaining.decisions))
    @rule(due=st.integers(1, 3))
    def time_passes(self, due: int) -> None:
        self.remaining.decisions = [d for d in self.remaining.decisions if not 0 < d.due <= due_at(due)]

        self.running.run(expire_decisions(self.running.engine, self.tenant, due_at(due)))

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def read_the_past(self, data: st.DataObject) -> None:
        revision = data.draw(st.sampled_from(sorted(self.past)))

        found = self.running.partition(self.tenant, KEYS, revision)

        gone = {key for key, at in self.cut.items() if at > revision}
        expected = {group - gone for group in self.past[revision]} - {frozenset()}
        assert set(found.values()) == expected

    @precondition(lambda self: self.identities)
    @rule(data=st.data(), hops=st.integers(1, 4))
    def walk(self, data: st.DataObject, hops: int) -> None:
        start, end = (data.draw(st.sampled_from(sorted(key for group in self.groups() for key in group))) for _ in range(2))
        aliases = [record_alias(self.tenant, *key) for key in (start, end)]
        graph, ids = self.running.read(self.tenant, lambda reader: graph_of(reader, aliases, [*self.ever]))
        near = set(nx.single_source_shortest_path_length(graph, ids[0], hops))

        around = self.running.read(self.tenant, lambda reader: reader.neighbourhood([ids[0]], WALKED, hops, 10_000))
        path = self.running.read(self.tenant, lambda reader: reader.path(ids[0], ids[1], WALKED, 12))

        assert {node.id for node in around.nodes} == near
        wanted = nx.shortest_path_length(graph, *ids) + 1 if nx.has_path(graph, *ids) else 0
        assert len(path.nodes) == wanted

    @invariant()
    def identities_equal_bulk_over_what_remains(self) -> None:
        before, revision = self.identities, self.running.read(self.tenant, revision_of)
        self.identities = self.running.partition(self.tenant, KEYS)
        assert frozenset(self.identities.values()) == partition_of(self.tenant, self.remaining)

        # Decisions that end in one step end at a revision each.
        between = [self.running.partition(self.tenant, KEYS, number) for number in range(self.revision + 1, revision)]
        for earlier, later in pairwise([before, *between, self.identities]):
            self.follow(earlier, later)
        if revision != self.revision:
            self.before_last, self.revision = before, revision
        self.past[revision] = frozenset(self.identities.values())
        self.check_retired_ids()
        self.running.read(self.tenant, lambda reader: check_outlines(reader, self.tenant))

    def follow(self, before: dict[bytes, frozenset[Key]], identities: dict[bytes, frozenset[Key]]) -> None:
        """See that an id that comes back means whom it once meant."""
        for id in identities.keys() - before.keys() & self.ever.keys():
            assert identities[id] & self.held[id], "an id came back to mean somebody else"
        self.ever |= identities
        for id, records in identities.items():
            self.held[id] = self.held.get(id, frozenset()) | records

    def check_retired_ids(self) -> None:
        """See that every id that ever was answers while a record that it last had is left."""
        alive = {key for records in self.identities.values() for key in records}
        for id in self.ever.keys() - self.identities.keys():
            if self.ever[id] & alive:
                found = self.running.read(self.tenant, lambda reader, id=id: answer(reader, id))
                assert found is None or found in self.identities

    def decide(
        self,
        work: Callable[[Engine], Coroutine[object, object, Decided]],
        terms: DecisionTerms,
        *,
        must: bool,
        left: frozenset[Key],
        right: frozenset[Key] = frozenset(),
    ) -> None:
        """Make a decision, which may be refused and then changes nothing."""
        try:
            made = self.running.run(work(self.running.engine))
        except FailedPrecondition:
            return
        steward = Steward(made.decision, made.revision, must, left, right, terms.overrides_veto, terms.expires_at)
        self.remaining.decisions.append(steward)

    def ids_of(self, keys: Sequence[Key]) -> list[bytes]:
        """Find the ids of records."""
        aliases = [record_alias(self.tenant, *key) for key in keys]
        states = self.running.read(self.tenant, lambda reader: reader.records_by_alias(aliases))
        return [states[alias].record.id for alias in aliases]

    def groups(self) -> list[tuple[Key, ...]]:
        """List the identities by their records: ids are chance, and a history must be the same when it is played again."""
        return sorted(tuple(sorted(records)) for records in self.identities.values())

    def identity_of(self, group: tuple[Key, ...]) -> bytes:
        return next(id for id, records in self.identities.items() if records == frozenset(group))


async def revision_of(reader: Reader) -> int:
    return reader.revision.number


async def check_outlines(reader: Reader, tenant: Tenant) -> None:
    """See that what linking kept together is what hangs together by links: who adds records goes by it."""
    records = await reader.page(NodeKind.RECORD, b"", 10_000, {})
    outlines = await reader.outlines(records)
    components = await reader.components(records, tenant.match_model.link_weight, tenant.active.matches)
    assert sorted(sorted(outline.versions) for outline in outlines) == sorted(list(c.records) for c in components)


async def answer(reader: Reader, id: bytes) -> bytes | None:
    try:
        return (await living(reader, id)).identity.id
    except NotFound:
        return None


async def graph_of(reader: Reader, aliases: Sequence[bytes], identities: Sequence[bytes]) -> tuple[nx.Graph, list[bytes]]:
    """Read every record with what hangs on it, as a graph, and the ids of some records."""
    records = await reader.page(NodeKind.RECORD, b"", 10_000, {})
    graph = nx.Graph()
    graph.add_nodes_from(records)
    for edges in (await reader.keys(records)).values():
        graph.add_edges_from((edge.source, edge.target) for edge in edges)
    graph.add_edges_from((edge.source, edge.target) for edge in await reader.matches(records))
    disputed = await reader.history(records, frozenset({EdgeKind.DISPUTED}))
    graph.add_edges_from((edge.source, edge.target) for edge in disputed if edge.recorded_to == LIVE)
    states = await reader.records(records)
    graph.add_edges_from((state.record.id, state.identity) for state in states.values() if state.identity is not None)
    stored = await reader.identities(await with_heirs_and_forebears(reader, identities))
    graph.add_edges_from((id, heir) for id, identity in stored.items() for heir in identity.superseded_by)
    found = await reader.records_by_alias(aliases)
    return graph, [found[alias].record.id for alias in aliases]


async def with_heirs_and_forebears(reader: Reader, identities: Sequence[bytes]) -> list[bytes]:
    """Add those that came and went within one step, as when two decisions end: nobody saw them, but a walk does."""
    known, new = set(identities), set(identities)
    while new:
        edges = await reader.history(list(new), frozenset({EdgeKind.SUPERSEDED_BY}))
        new = {end for edge in edges for end in (edge.source, edge.target)} - known
        known |= new
    return list(known)


def due_at(due: int) -> int:
    """Say when a decision is due; 0 is never."""
    return BEGIN + 1_000_000 * DAY + due * DAY if due else 0


def terms_of(overrides: bool, due: int) -> DecisionTerms:
    return DecisionTerms("steward", "I know them", due_at(due), overrides)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Running]:
    running = Running("", tmp_path, generic_limit=GENERIC_LIMIT)
    yield running
    running.close()


@pytest.fixture
def neo4j(tmp_path: Path, neo4j_uri: str) -> Iterator[Running]:
    running = Running("neo4j://" + neo4j_uri.partition("://")[2], tmp_path, generic_limit=GENERIC_LIMIT)
    yield running
    running.close()


def check(running: Running, histories: int, steps: int, *, derandomize: bool) -> None:
    """Let histories happen on a store."""
    machine = type("Histories", (Histories,), {"running": running})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_hundred_histories_on_sqlite(sqlite: Running) -> None:
    check(sqlite, 100, 20, derandomize=True)


def test_histories_of_components_that_are_large(sqlite: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "_FEW", 2)

    check(sqlite, 25, 20, derandomize=True)


def test_histories_of_components_too_large_to_weigh_all_their_pairs(sqlite: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(model: MatchModel) -> ClusterSettings:
        return ClusterSettings(model.link_weight, model.min_average, 2)

    monkeypatch.setattr(MatchModel, "cluster_settings", property(small))

    check(sqlite, 25, 20, derandomize=True)


@pytest.mark.neo4j
def test_some_histories_on_neo4j(neo4j: Running) -> None:
    check(neo4j, 10, 12, derandomize=True)


@pytest.mark.slow
def test_two_thousand_histories_on_sqlite(sqlite: Running) -> None:
    check(sqlite, 2_000, 30, derandomize=False)


@pytest.mark.slow
@pytest.mark.neo4j
def test_two_hundred_histories_on_neo4j(neo4j: Running) -> None:
    check(neo4j, 200, 20, derandomize=False)
