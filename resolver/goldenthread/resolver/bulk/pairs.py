"""Make candidate pairs in columns: profiles that share a key of a rule or an identifier, streamed in chunks of bounded size.

A key held by more than `generic_limit` distinct profiles makes no pairs. A rule's profiles are kept sorted by key; pairs are
only written out for some rows at a time, so that neither a common key nor many rules need memory for all pairs together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.blocking import MAX_KEYS_PER_RULE, PARTS, BlockingRule
from goldenthread.resolver.bulk.derived import derived_part
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.numbering import pack, united
from goldenthread.resolver.bulk.threads import together
from goldenthread.resolver.normalise import Profile, address_text
from goldenthread.resolver.normalise.places import is_full_address

__all__ = [
    "IDENTIFIERS",
    "Block",
    "Chunk",
    "PairCounts",
    "block_of",
    "block_of_codes",
    "block_of_keys",
    "blocks_of",
    "count_pairs",
    "first_codes",
    "identifier_block",
    "pairs_of",
    "part_feature",
    "stream_pairs",
]

IDENTIFIERS = "identifiers"
"""The name under which identifiers, which are candidate keys as well, appear among the rules."""

_CHUNK = 1 << 19
"""Pairs written out at a time, about: some 60 bytes each while they are sorted."""

Rows = NDArray[np.int32]
Keys = NDArray[np.int64]


class Block(Struct):
    """The profiles that share keys of one rule, in the order of keys and then rows.

    The profile at a place is paired with those after it, up to the end of its key: `counts[place]` of them. `by_row` lists the
    places by row. `keyed` says of each profile whether it has a key that is not generic.
    """

    rule: str
    rows: Rows
    counts: Rows
    by_row: Rows
    generic_keys: int
    keyed: NDArray[np.bool_]

    @property
    def pairs(self) -> int:
        """Count the pairs, those that share several keys repeatedly."""
        return int(self.counts.sum(dtype=np.int64))


class Chunk(Struct):
    """Some of all candidate pairs, each once, left < right, sorted; `share_done` is the share of the work up to here.

    The blocks that make pair `i` are numbers `makers[first[i]:first[i + 1]]`, ascending.
    """

    left: Rows
    right: Rows
    first: Keys
    makers: Rows
    share_done: float

    @property
    def counts(self) -> Keys:
        """Count the blocks that make each pair."""
        return np.diff(self.first, append=len(self.makers))

    @property
    def masks(self) -> NDArray[np.uint64]:
        """Set a bit for each block that makes a pair; there must be at most 64 blocks."""
        masks: NDArray[np.uint64] = np.bitwise_or.reduceat(np.uint64(1) << self.makers.astype(np.uint64), self.first)
        return masks


class PairCounts(Struct):
    """What the rules made, counted while pairs are streamed: by rule, all pairs and those that no other rule makes."""

    pairs: Keys
    only_here: Keys

    @staticmethod
    def zero(blocks: int) -> PairCounts:
        """Begin to count."""
        return PairCounts(np.zeros(blocks, np.int64), np.zeros(blocks, np.int64))


def _full_addresses(profile: Profile) -> Sequence[str]:
    return sorted({address_text(place) for place in profile.addresses if is_full_address(place)})


def part_feature(frame: Frame, part: str) -> Feature[str]:
    """Work out a part's values for all profiles; "" is none."""
    if part.startswith("other:"):
        found = frame.others.get(part.removeprefix("other:"))
        return found if found is not None else Feature(np.zeros(frame.rows, np.int32), [])
    feature = frame.derive(PARTS[part], at_once=lambda: derived_part(frame, part))
    if "" not in feature.values and not feature.repeats():
        return feature
    if feature.starts is None:
        return feature.without("")
    return Feature.of([tuple(dict.fromkeys(v for v in entry if v)) for entry in feature.all_entries()], feature.codes)


def first_codes(frame: Frame, part: str) -> Rows:
    """Number each profile's first value of a part, from 1 up, 0 where it has none: enough to measure rules by."""
    feature = part_feature(frame, part)
    return (feature.firsts() + np.int32(1)).take(feature.codes)


def _entries(features: Sequence[Feature[str]], rows: int) -> tuple[Rows, list[Rows]]:
    """Combine the values of parts: the row of each conjunction, ascending, and its values' numbers, part by part."""
    if all(feature.starts is None for feature in features):
        all_there = np.flatnonzero(np.logical_and.reduce([feature.codes > 0 for feature in features])).astype(np.int32)
        return all_there, [feature.codes.take(all_there) - np.int32(1) for feature in features]
    sizes = [feature.sizes()[feature.codes] for feature in features]
    product = np.ones(rows, np.int64)
    for size in sizes:
        product *= size
    there = np.flatnonzero(product)
    if product.max(initial=0) <= 1:
        return there.astype(np.int32), [feature.firsts().take(feature.codes.take(there)) for feature in features]
    few = there[product[there] <= MAX_KEYS_PER_RULE]
    which = np.repeat(few, product[few])
    within = np.arange(len(which)) - np.repeat(np.cumsum(product[few]) - product[few], product[few])
    values: list[Rows] = []
    for feature, size in zip(features[::-1], sizes[::-1], strict=True):
        starts, members = feature.bounds()
        within, at = np.divmod(within, size[which])
        values.insert(0, members[starts[feature.codes[which]] + at])
    many = there[product[there] > MAX_KEYS_PER_RULE]
    if len(many):
        extra = [_first_keys(features, row) for row in many.tolist()]
        which = np.concatenate([which, np.repeat(many, [len(e) for e in extra])])
        stacked = np.array([numbers for e in extra for numbers in e], np.int32).reshape(-1, len(features))
        order = np.argsort(which, kind="stable")
        which = which[order]
        values = [np.concatenate([v, stacked[:, k]])[order] for k, v in enumerate(values)]
    return which.astype(np.int32), values


def _first_keys(features: Sequence[Feature[str]], row: int) -> list[tuple[int, ...]]:
    """List the keys of a profile that has too many of them: the first by their texts, as `rule_keys` does."""
    keys: list[tuple[str, tuple[int, ...]]] = [("", ())]
    for feature in features:
        starts, members = feature.bounds()
        code = int(feature.codes[row])
        mine = [(feature.values[m], m) for m in members[starts[code] : starts[code + 1]].tolist()]
        keys = [(f"{text}\x1f{value}" if numbers else value, (*numbers, m)) for text, numbers in keys for value, m in mine]
    return [numbers for _, numbers in sorted(dict(keys).items())][:MAX_KEYS_PER_RULE]


def block_of(rule: BlockingRule, frame: Frame, generic_limit: int) -> Block:
    """Sort the profiles by their keys of one rule."""
    features = [part_feature(frame, part) for part in rule.parts]
    rows, values = _entries(features, frame.rows)
    keys = pack([(v, len(f.values)) for v, f in zip(values, features, strict=True)], len(rows))
    return block_of_keys(rule.name, rows, keys, frame.rows, generic_limit)


def identifier_block(frame: Frame, generic_limit: int) -> Block:
    """Sort the profiles by their identifiers: emails, phones, full addresses and documents."""
    features = [frame.fields[name] for name in ("emails", "phones", "documents") if name in frame.fields]
    if "addresses" in frame.fields:
        features.append(frame.derive(_full_addresses))
    rows, keys, base = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)], 0
    for feature in features:
        which, (values,) = _entries_of_one(feature)
        rows.append(which)
        keys.append(values + np.int64(base))
        base += len(feature.values)
    return block_of_keys(IDENTIFIERS, np.concatenate(rows), np.concatenate(keys), frame.rows, generic_limit)


def _entries_of_one(feature: Feature) -> tuple[Rows, list[Rows]]:  # type: ignore[type-arg]  # values of any kind
    """List the row and value of every value that a row has."""
    which, members = feature.spread(feature.codes)
    return which, [members]


def block_of_keys(name: str, rows: Rows, keys: Keys, n: int, generic_limit: int) -> Block:
    """Group rows by their keys; a row that has a key twice counts once."""
    keyed = np.zeros(n, np.bool_)
    none = np.zeros(0, np.int32)
    if not len(rows):
        return Block(name, none, none, none, 0, keyed)
    bits = n.bit_length()
    if int(keys.max()).bit_length() + bits > 63:
        keys = np.unique(keys, return_inverse=True)[1]
    # Sorting plain integers is many times faster than sorting places.
    packed = (keys << bits) | rows
    packed.sort()
    steps = packed[1:] ^ packed[:-1]
    if not steps.all():
        packed = packed.compress(np.append(True, steps > 0))
        steps = packed[1:] ^ packed[:-1]
    starts = np.flatnonzero(np.append(True, steps >> bits > 0))
    sizes = np.diff(starts, append=len(packed))
    generic = sizes > generic_limit
    row_of = (1 << bits) - 1
    keyed[packed.compress(np.repeat(~generic, sizes)) & row_of if generic.any() else rows] = True
    kept = (sizes > 1) & ~generic
    rows = (packed.compress(np.repeat(kept, sizes)) & row_of).astype(np.int32)
    sizes = sizes[kept]
    ends = np.repeat(np.cumsum(sizes), sizes)
    counts = (ends - np.arange(len(rows)) - 1).astype(np.int32)
    bits = max(len(rows) - 1, 1).bit_length()
    places = (rows.astype(np.int64) << bits) | np.arange(len(rows))
    places.sort()
    return Block(name, rows, counts, (places & ((1 << bits) - 1)).astype(np.int32), int(generic.sum()), keyed)


def blocks_of(rules: Sequence[BlockingRule], frame: Frame, generic_limit: int) -> list[Block]:
    """Sort the profiles by identifiers, first, and by the keys of all rules."""
    # Rules share parts, which are worked out once.
    together(partial(part_feature, frame, part) for part in dict.fromkeys(part for rule in rules for part in rule.parts))
    return together(
        [partial(identifier_block, frame, generic_limit), *(partial(block_of, rule, frame, generic_limit) for rule in rules)]
    )


def _known(columns: Sequence[Rows]) -> tuple[Rows, Keys]:
    """List the rows that have all parts, coded from 1 up, and their packed codes."""
    rows = np.flatnonzero(np.logical_and.reduce([c > 0 for c in columns])).astype(np.int32)
    return rows, pack([(c.take(rows), int(c.max(initial=0)) + 1) for c in columns], len(rows))


def block_of_codes(name: str, columns: Sequence[Rows], generic_limit: int) -> Block:
    """Sort the profiles by a conjunction of first values; see `first_codes`."""
    rows, keys = _known(columns)
    return block_of_keys(name, rows, keys, len(columns[0]), generic_limit)


def count_pairs(columns: Sequence[Rows], generic_limit: int) -> tuple[int, int]:
    """Count the pairs that a conjunction of first values makes, and the profiles that have all its parts."""
    _, keys = _known(columns)
    keys.sort()
    sizes = np.diff(np.flatnonzero(np.diff(keys, prepend=-1)), append=len(keys))
    sizes = sizes[sizes <= generic_limit]
    return int((sizes * (sizes - 1) // 2).sum()), len(keys)


def pairs_of(block: Block, start: int, stop: int) -> tuple[Rows, Rows]:
    """Write out the pairs of a block whose smaller profile is in a range, given by places in `by_row`."""
    places = block.by_row[start:stop]
    counts = block.counts.take(places)
    paired = np.flatnonzero(counts)
    places, counts = places.take(paired), counts.take(paired)
    ends = np.cumsum(counts, dtype=np.int64)
    # The place that each pair is of; `np.repeat` would say so too, but keeps other threads from running.
    steps = np.zeros(int(ends[-1]) if len(ends) else 0, np.int64)
    steps[ends[:-1]] = 1
    which = np.cumsum(steps)
    first = places + np.int64(1) - (ends - counts)
    return block.rows.take(places).take(which), block.rows.take(first.take(which) + np.arange(len(which)))


def stream_pairs(blocks: Sequence[Block], n: int, counts: PairCounts, chunk: int = _CHUNK) -> Iterator[Chunk]:
    """Yield all candidate pairs of `n` profiles, each once, in order; `counts` is complete at the end."""
    load = np.zeros(n, np.int64)
    for block in blocks:
        load += np.bincount(block.rows, weights=block.counts, minlength=n).astype(np.int64)
    done = np.cumsum(load)
    total = int(done[-1]) if n else 0
    if not total:
        return
    marks = united([np.searchsorted(done, np.arange(chunk, total, chunk), side="left") + 1])
    bounds = [0, *marks[marks < n].tolist(), n]
    places = [np.searchsorted(block.rows[block.by_row], bounds).tolist() for block in blocks]
    bits, wide = max(len(blocks) - 1, 1).bit_length(), n.bit_length()
    for step, (a, b) in enumerate(pairwise(bounds)):
        parts = []
        for number, (block, at) in enumerate(zip(blocks, places, strict=True)):
            left, right = pairs_of(block, at[step], at[step + 1])
            parts.append(((((left - np.int64(a)) << wide) | right) << bits) | number)
        packed = np.concatenate(parts)
        packed.sort()
        new = np.ones(len(packed), np.bool_)
        new[1:] = packed[1:] != packed[:-1]
        packed = packed.compress(new)
        if not len(packed):
            continue
        rule = packed & ((1 << bits) - 1)
        pair = packed >> bits
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        pair = pair.take(first)
        left, right = pair >> wide, pair & ((1 << wide) - 1)
        found = Chunk(
            (left + a).astype(np.int32), right.astype(np.int32), first, rule.astype(np.int32), float(done[b - 1]) / total
        )
        counts.pairs += np.bincount(rule, minlength=len(blocks))
        counts.only_here += np.bincount(rule[first[found.counts == 1]], minlength=len(blocks))
        yield found
