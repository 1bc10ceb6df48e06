"""The match model: one immutable artefact that says how records are blocked, compared, scored and cut into identities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version
from math import log2

import msgspec
from msgspec import UNSET, Struct, UnsetType

from goldenthread.resolver import comparisons
from goldenthread.resolver.blocking import BlockingRule
from goldenthread.resolver.clusters import ClusterSettings
from goldenthread.resolver.comparisons import AnyComparison
from goldenthread.resolver.normalise import NORMALISER_VERSION
from goldenthread.resolver.scoring.frequencies import FrequencyTable, Lookup
from goldenthread.resolver.scoring.refinement import Refinement

__all__ = [
    "CLASSES",
    "WEIGHT_SCALE",
    "AnyComparison",
    "ComparisonSpec",
    "MatchModel",
    "ModelUnreadable",
    "build_comparison",
    "fixed_point",
    "library_versions",
]

WEIGHT_SCALE = 1 << 16
"""A weight divided by this is in bits: log2 of the odds."""

CLASSES = ("match", "family", "same_address", "namesakes", "strangers")
"""What a pair of records may be; the first wins against the best of the others."""


class ModelUnreadable(ValueError):
    """The bytes are no match model, or one that this program cannot use; a retry does not help."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"The match model cannot be used ({problem}); export it again with this version of goldenthread.")


class ComparisonSpec(Struct, frozen=True):
    """A comparison in an artefact: its class, its name, and its log2 level probabilities by class, in fixed point.

    `tables[c][level]` follows CLASSES; level 0, missing, is 0 in every class.
    """

    kind: str
    name: str
    tables: tuple[tuple[int, ...], ...]


class MatchModel(Struct, frozen=True):
    """Everything a score and a partition depend on besides the records; equal content has an equal `version`.

    Weights are fixed point (see WEIGHT_SCALE). `generic_limit` is the number of distinct profiles above which a shared key
    stops making candidates. A pair at `link_weight` links by itself; groups join while the average of all their pairs is at
    least `min_average`; from `review_weight` on a pair is worth a steward's look; parts of more than `max_component` profiles
    are cut at a higher weight. `refinement` is what learning added to the weight of the latent classes, if anything.
    """

    name: str
    default_country: str
    priors: tuple[int, ...]
    comparisons: tuple[ComparisonSpec, ...]
    rules: tuple[BlockingRule, ...]
    frequencies: tuple[FrequencyTable, ...] = ()
    generic_limit: int = 50
    link_weight: int = 2 * WEIGHT_SCALE
    min_average: int = 0
    review_weight: int = -3 * WEIGHT_SCALE
    max_component: int = 1000
    normaliser_version: int = NORMALISER_VERSION
    libraries: tuple[tuple[str, str], ...] = ()
    refinement: Refinement | UnsetType = UNSET

    @property
    def version(self) -> str:
        """Name the model by its content: 16 hexadecimal digits."""
        return _version_of(self)

    @property
    def is_outdated(self) -> bool:
        """Whether it was learned from texts that an older version normalised: how rare some values are may be unknown to it."""
        return self.normaliser_version < NORMALISER_VERSION

    def to_json(self) -> bytes:
        """Encode canonically."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> MatchModel:
        """Decode a model. One of an older normaliser can be used, see `is_outdated`.

        Raises:
            ModelUnreadable: the bytes are no model, its levels are not those of this program, or its normaliser is newer.
        """
        try:
            model = msgspec.json.decode(data, type=MatchModel)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ModelUnreadable("it is no match model") from error
        if model.normaliser_version > NORMALISER_VERSION:
            raise ModelUnreadable(f"its normaliser is version {model.normaliser_version}, newer than {NORMALISER_VERSION}")
        if len(model.priors) != len(CLASSES):
            raise ModelUnreadable("it has other classes")
        for spec in model.comparisons:
            try:
                levels = comparisons.kind_named(spec.kind).levels
            except comparisons.UnknownKind:
                raise ModelUnreadable(f"comparison kind {spec.kind!r} is unknown") from None
            if len(spec.tables) != len(CLASSES) or any(len(t) != len(levels) for t in spec.tables):
                raise ModelUnreadable(f"comparison {spec.name!r} has other levels")
        if model.refinement is not UNSET and not model.refinement.fits([len(spec.tables[0]) for spec in model.comparisons]):
            raise ModelUnreadable("its refinement has other levels")
        return model

    @staticmethod
    def shipped() -> MatchModel:
        """Answer the model for persons that needs no data to learn from."""
        from goldenthread.resolver.scoring.shipped import shipped_model

        return shipped_model()

    @property
    def cluster_settings(self) -> ClusterSettings:
        """Answer what cutting components needs."""
        return ClusterSettings(self.link_weight, self.min_average, self.max_component)

    def build_comparisons(self) -> tuple[AnyComparison, ...]:
        """Make the comparisons with their frequency look-ups."""
        lookups = {t.comparison: Lookup(t) for t in self.frequencies}
        return tuple(build_comparison(s.kind, s.name, lookups.get(s.name)) for s in self.comparisons)


@lru_cache(64)
def _version_of(model: MatchModel) -> str:
    return blake2b(model.to_json(), digest_size=8).hexdigest()


def build_comparison(kind: str, name: str, rarity: comparisons.Rarity | None = None) -> AnyComparison:
    """Make a comparison of a kind; without `rarity` every value counts as rare."""
    return comparisons.kind_named(kind)(name, rarity or comparisons.all_rare)


def fixed_point(probabilities: Sequence[float]) -> tuple[int, ...]:
    """Turn level probabilities, that of `missing` first and ignored, into fixed-point log2."""
    return (0, *(round(log2(p) * WEIGHT_SCALE) for p in probabilities[1:]))


def library_versions() -> tuple[tuple[str, str], ...]:
    """List the libraries whose results a score depends on."""
    return tuple((name, version(name)) for name in ("phonenumbers", "rapidfuzz"))
