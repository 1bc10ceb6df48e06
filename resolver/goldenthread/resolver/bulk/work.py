"""Keep what the stages of a linking finished in a folder, so that one that was stopped goes on where it was.

Columns are kept as they lie in memory and mapped back from the files, so that the machine may drop them from memory and read
them again. A stage is there whole or not at all. The folder holds personal data: it is for its owner alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from goldenthread.resolver.bulk.errors import WorkOfOthers, WorkUnreadable
from goldenthread.resolver.bulk.frame import Feature, Frame
from goldenthread.resolver.bulk.text_column import TextColumn
from goldenthread.resolver.bulk.texts import Texts
from goldenthread.resolver.normalise import Profile

__all__ = ["Read", "Work"]

S = TypeVar("S")
_ABOUT = "about.json"
_OBSERVED = "observed_at.npy"
_FORM = 1
"""The form of what is kept; another is not read."""


class _About(Struct, forbid_unknown_fields=True):
    form: int
    of: str


class _Kept(Struct):
    """One feature of a frame: its name, and whether its values are texts and its entries have several of them."""

    name: str
    is_other: bool
    are_texts: bool
    are_several: bool


class _Profiles(Struct):
    rows: int
    features: list[_Kept]
    facts: msgspec.Raw


class Read(Struct):
    """Records that were read and normalised: the distinct profiles, which of them each row has, and where rows are from.

    `observed_at` says when each row was observed, in microseconds since 1970; None when that is not told.
    """

    distinct: Frame
    point_of: NDArray[np.int64]
    record_ids: Sequence[str]
    sources: Sequence[str]
    observed_at: NDArray[np.int64] | None = None


class Work:
    """The folder of one linking, which `of` tells from all others: files, options and versions."""

    def __init__(self, folder: Path, of: str) -> None:
        """Open a folder, made unless it is there.

        Raises: WorkOfOthers, WorkUnreadable.
        """
        self.folder = folder
        about = folder / _ABOUT
        if not folder.exists():
            folder.mkdir(mode=0o700)
        if not about.exists():
            if any(folder.iterdir()):
                raise WorkOfOthers(str(folder))
            self._write(about, msgspec.json.encode(_About(_FORM, of)))
        elif _decoded(about, _About) != _About(_FORM, of):
            raise WorkOfOthers(str(folder))

    def done(self, stage: str) -> bool:
        """Say whether a stage is finished."""
        return (self.folder / stage).exists()

    def keep(self, stage: str, facts: object, arrays: dict[str, NDArray[np.generic]] | None = None) -> None:
        """Keep facts and arrays that a stage found."""
        aside = self._aside(stage)
        (aside / "facts.json").write_bytes(msgspec.json.encode(facts))
        for name, array in (arrays or {}).items():
            np.save(aside / f"{name}.npy", array)
        aside.replace(self.folder / stage)

    def kept(self, stage: str, kind: type[S]) -> S:
        """Read the facts of a stage."""
        return _decoded(self.folder / stage / "facts.json", kind)

    def array(self, stage: str, name: str) -> NDArray[Any]:
        """Map an array of a stage."""
        return _mapped(self.folder / stage / f"{name}.npy")

    def keep_read(self, read: Read, facts: object) -> Read:
        """Keep records that were read, with facts about them; answer them as they are kept."""
        aside = self._aside("profiles")
        features: list[_Kept] = []
        of_fields = [(name, False, feature) for name, feature in read.distinct.fields.items()]
        of_others = [(key, True, cast("Feature[Hashable]", feature)) for key, feature in read.distinct.others.items()]
        for place, (name, is_other, feature) in enumerate([*of_fields, *of_others]):
            texts = feature.values if isinstance(feature.values, Texts) else None
            np.save(aside / f"{place}.codes.npy", feature.codes)
            if texts is not None:
                _write_texts(aside / f"{place}.texts", texts.arrow)
            else:
                (aside / f"{place}.values").write_bytes(msgspec.msgpack.encode(list(feature.values)))
            if feature.starts is not None:
                np.save(aside / f"{place}.starts.npy", feature.starts)
                np.save(aside / f"{place}.members.npy", feature.members)
            features.append(_Kept(name, is_other, texts is not None, feature.starts is not None))
        np.save(aside / "point_of.npy", read.point_of)
        if read.observed_at is not None:
            np.save(aside / _OBSERVED, read.observed_at)
        for name, column in (("record_ids", TextColumn.of(read.record_ids)), ("sources", TextColumn.of(read.sources))):
            np.save(aside / f"{name}.npy", column.codes)
            _write_texts(aside / f"{name}.texts", column.distinct_texts)
        said = _Profiles(read.distinct.rows, features, msgspec.Raw(msgspec.json.encode(facts)))
        (aside / "facts.json").write_bytes(msgspec.json.encode(said))
        aside.replace(self.folder / "profiles")
        return self.read()

    def read(self) -> Read:
        """Map the records that were read."""
        folder = self.folder / "profiles"
        said = _decoded(folder / "facts.json", _Profiles)
        fields: dict[str, Feature[Hashable]] = {}
        others: dict[str, Feature[str]] = {}
        for place, kept in enumerate(said.features):
            values = (
                Texts(_mapped_texts(folder / f"{place}.texts"))
                if kept.are_texts
                else _decoded(folder / f"{place}.values", list[str] if kept.is_other else _list_of(kept.name))
            )
            starts = _mapped(folder / f"{place}.starts.npy") if kept.are_several else None
            members = _mapped(folder / f"{place}.members.npy") if kept.are_several else None
            feature: Feature[Hashable] = Feature(
                _mapped(folder / f"{place}.codes.npy"), cast("Sequence[Hashable]", values), starts, members
            )
            if kept.is_other:
                others[kept.name] = cast("Feature[str]", feature)
            else:
                fields[kept.name] = feature
        ids, sources = (
            TextColumn(_mapped(folder / f"{name}.npy"), _mapped_texts(folder / f"{name}.texts"))
            for name in ("record_ids", "sources")
        )
        observed_at = _mapped(folder / _OBSERVED) if (folder / _OBSERVED).exists() else None
        return Read(Frame(said.rows, fields, others), _mapped(folder / "point_of.npy"), ids, sources, observed_at)

    def about_read(self, kind: type[S]) -> S:
        """Read the facts about the records that were read."""
        return msgspec.json.decode(_decoded(self.folder / "profiles" / "facts.json", _Profiles).facts, type=kind)

    def _aside(self, stage: str) -> Path:
        """Make an empty folder to write a stage to, beside its place."""
        aside = self.folder / f"{stage}.part"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        return aside

    def _write(self, file: Path, content: bytes) -> None:
        aside = file.with_name(file.name + ".part")
        aside.write_bytes(content)
        aside.replace(file)


def _decoded(file: Path, kind: type[S]) -> S:
    decode = msgspec.msgpack.decode if file.suffix == ".values" else msgspec.json.decode
    try:
        return decode(file.read_bytes(), type=kind)
    except (msgspec.DecodeError, FileNotFoundError):
        raise WorkUnreadable(str(file.parent)) from None


def _mapped(file: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.asarray(np.load(file, mmap_mode="r"))
    except (OSError, EOFError, ValueError):
        raise WorkUnreadable(str(file.parent)) from None
    return found


def _write_texts(file: Path, texts: pa.Array) -> None:
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("text", texts.type)])) as writer:
        writer.write_batch(pa.record_batch([texts], names=["text"]))


def _mapped_texts(file: Path) -> pa.Array:
    try:
        return pa.ipc.open_file(pa.memory_map(str(file))).get_batch(0).column(0)
    except (pa.ArrowInvalid, OSError):
        raise WorkUnreadable(str(file.parent)) from None


def _list_of(field: str) -> type[list[Hashable]]:
    """Name the type of the values of a field of profiles: a tuple of them is what a profile has."""
    of_field = next(f.type for f in msgspec.structs.fields(Profile) if f.name == field)
    return cast("type[list[Hashable]]", list.__class_getitem__(get_args(of_field)[0]))
