"""Hold a linking to a size of memory, and keep what its stages finish in a folder."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldenthread.cli.errors import CommandError, UsageError
from goldenthread.cli.output import note

if TYPE_CHECKING:
    from goldenthread.resolver.bulk.work import Work

__all__ = ["MemoryOption", "WorkOption", "bounded", "lean", "size_of", "work_folder"]

MemoryOption = Annotated[
    str | None,
    typer.Option("--memory", help="The most memory to take, as 8GiB; columns are kept on disk.", show_default=False),
]
WorkOption = Annotated[
    Path | None,
    typer.Option("--work", help="Folder to keep finished stages in: run again, it goes on there.", show_default=False),
]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_LEAST = 256 << 20
_LARGE_BLOCK, _KEPT = 32 << 20, 32 << 20
"""Bytes from which on memory is taken from the system by itself, and given back when it is free; of smaller blocks, how much
free memory is kept at hand. What is taken anew costs the system more time than most of what is worked out in it."""

_ARENAS, _TRIM, _MMAP = -8, -1, -3  # of mallopt, in malloc.h


def size_of(text: str) -> int:
    """Read a size of memory in bytes.

    Raises: UsageError.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--memory {text} is no size.", "Write it as 8GiB or 500MB.")
    size = int(float(found[1]) * (1024 if found[3] or not found[2] else 1000) ** " kmgt".index(found[2].lower() or " "))
    if size < _LEAST:
        raise UsageError(f"--memory {text} is too little.", f"Give {_LEAST >> 20}MiB at least.")
    return size


def lean() -> None:
    """Have large arrays given back to the system as soon as they are free; where this can't be told, nothing changes."""
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        for option, value in ((_ARENAS, 1), (_TRIM, _KEPT), (_MMAP, _LARGE_BLOCK)):
            ctypes.CDLL(None).mallopt(option, value)


@contextmanager
def bounded(memory: int | None, work: Path | None) -> Iterator[None]:
    """Refuse memory beyond a size to this process; what columns on disk fill, the system takes back by itself."""
    if memory is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    try:
        yield
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_DATA, before)
        kept = f" What was finished is kept in {work}." if work is not None else ""
        raise CommandError(
            f"Linking these files takes more than {memory / (1 << 30):.1f} GiB of memory.{kept}",
            "Give --memory more, leave out columns, or use --engine spark.",
        ) from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def work_folder(
    told: Path | None, memory: int | None, files: Sequence[Path], options: Sequence[object]
) -> Iterator[Work | None]:
    """Open the folder that stages are kept in: the one that was told, or one for the time being where memory is bounded."""
    if told is None and memory is None:
        yield None
        return
    from goldenthread.resolver.bulk.work import Work

    if told is not None:
        if not told.absolute().parent.is_dir():
            raise CommandError(f"There is no folder {told.parent}.", "Make it, or keep stages elsewhere.")
        try:
            yield Work(told, _of(files, options))
        except KeyboardInterrupt:
            note(f"What was finished is kept in {told}; the same command goes on there.")
            raise
        return
    folder = Path(tempfile.mkdtemp(prefix="goldenthread-link-"))
    try:
        yield Work(folder, "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _of(files: Sequence[Path], options: Sequence[object]) -> str:
    """Tell a linking from others: by its files, by size and time of change, its options and our version."""
    from importlib.metadata import version

    said: list[object] = [version("goldenthread"), *options]
    for file in files:
        about = file.stat()
        said.append((str(file.absolute()), about.st_size, about.st_mtime_ns))
    return blake2b(repr(said).encode(), digest_size=16).hexdigest()
