"""The root key file: who may read it, and what is never done silently."""

from __future__ import annotations

import base64
import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from goldenthread.graph.errors import KeyFileUnsafe, WrongKey
from goldenthread.graph.vault import FileRootKey, open_vault

CONTEXT = b"a context"


def a_key_file(folder: Path) -> Path:
    file = folder / "root.key"
    FileRootKey.open_or_create(file)
    return file


def test_the_key_made_at_first_start_opens_what_it_wrapped_after_a_restart(tmp_path: Path) -> None:
    wrapped = FileRootKey.open_or_create(tmp_path / "root.key").wrap(b"secret", CONTEXT)

    again = FileRootKey.open_or_create(tmp_path / "root.key")

    assert again.unwrap(wrapped, CONTEXT) == b"secret"


def test_the_key_file_and_its_new_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "root.key"

    FileRootKey.open_or_create(file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [f.name for f in file.parent.iterdir()] == ["root.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_key_file_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    file = a_key_file(tmp_path)
    file.chmod(mode)

    with pytest.raises(KeyFileUnsafe, match="chmod 600") as refused:
        FileRootKey.open_or_create(file)

    assert str(file) in refused.value.remedy


def test_a_key_file_that_cannot_be_written_any_more_is_accepted(tmp_path: Path) -> None:
    file = a_key_file(tmp_path)
    key_id = FileRootKey.open_or_create(file).key_id
    file.chmod(0o400)

    assert FileRootKey.open_or_create(file).key_id == key_id


def damaged(content: str) -> list[tuple[str, str]]:
    header, key, check = content.splitlines()
    short = base64.b64encode(b"k" * 31).decode()
    changed = base64.b64encode(b"k" * 32).decode()
    return [
        ("empty", ""),
        ("cut", content[: len(header) + 20]),
        ("no check", f"{header}\n{key}\n"),
        ("more lines", f"{content}{check}\n"),
        ("other header", f"another header\n{key}\n{check}\n"),
        ("no base64", f"{header}\n!{key[1:]}\n{check}\n"),
        ("31 bytes", f"{header}\n{short}\n{hashlib.sha256(b'k' * 31).hexdigest()[:16]}\n"),
        ("another key", f"{header}\n{changed}\n{check}\n"),
        ("not ASCII", f"{header}\n{key}\n\xe9\n"),
    ]


@pytest.mark.parametrize("damage", [name for name, _ in damaged("h\nkey\ncheck\n")])
def test_a_damaged_key_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    file = a_key_file(tmp_path)
    content = dict(damaged(file.read_text()))[damage]
    file.write_text(content, encoding="utf-8")

    with pytest.raises(KeyFileUnsafe, match="backup"):
        FileRootKey.open_or_create(file)

    assert file.read_text(encoding="utf-8") == content


def test_a_folder_in_the_place_of_the_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnsafe):
        FileRootKey.open_or_create(tmp_path)


def test_many_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    file = tmp_path / "root.key"

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: FileRootKey.open_or_create(file).key_id, range(32)))

    assert len(set(ids)) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["root.key"]


def test_another_key_or_context_does_not_unwrap(tmp_path: Path) -> None:
    one = FileRootKey.open_or_create(tmp_path / "one.key")
    other = FileRootKey.open_or_create(tmp_path / "other.key")
    wrapped = one.wrap(b"secret", CONTEXT)

    with pytest.raises(WrongKey):
        other.unwrap(wrapped, CONTEXT)
    with pytest.raises(WrongKey):
        one.unwrap(wrapped, b"another context")
    with pytest.raises(WrongKey):
        one.unwrap(b"", CONTEXT)


async def test_a_missing_key_file_is_never_replaced_once_there_are_tenants(tmp_path: Path) -> None:
    vault = await open_vault(tmp_path)
    await vault.tenant("acme")
    await vault.close()
    (tmp_path / "root.key").unlink()

    with pytest.raises(KeyFileUnsafe, match="missing"):
        await open_vault(tmp_path)

    assert not (tmp_path / "root.key").exists()


async def test_a_wrong_key_file_is_known_at_start(tmp_path: Path) -> None:
    vault = await open_vault(tmp_path / "data")
    await vault.tenant("acme")
    await vault.close()
    FileRootKey.open_or_create(tmp_path / "other.key")

    with pytest.raises(WrongKey, match=r"other\.key"):
        await open_vault(tmp_path / "data", key_file=tmp_path / "other.key")
