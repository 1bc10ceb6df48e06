"""Hold the key that wraps every tenant key, and never let it out.

A root key only wraps and unwraps, so a Vault transit key or a cloud KMS key can stand in for the file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from goldenthread.graph.errors import KeyFileUnsafe, WrongKey

__all__ = ["FileRootKey", "RootKey"]

_HEADER = "goldenthread root key 1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_CHECK_BYTES = 8
_RESTORE = "restore it from your backup of the keys"


class RootKey(Protocol):
    """Wrap and unwrap tenant keys. Calls may block on a network: they are made in a thread, not in the event loop."""

    @property
    def key_id(self) -> str:
        """Name the key without saying anything of its material; kept beside what it wrapped."""
        ...

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt key material so that it opens with the same context only."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt what `wrap` gave.

        Raises:
            WrongKey: another key or another context wrapped it, or it was changed.
        """
        ...


class FileRootKey:
    """A root key in a file of its own: 32 random bytes as text, readable by its owner alone.

    The file has three lines: what it is, the key in base64, and the first 8 bytes of the key's SHA-256 in hex, by which a
    damaged copy is told from another key. Keep a copy away from the data: without it nothing can be read again.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(key)
        self._id = "file:" + hashlib.blake2b(b"goldenthread root key id", key=key, digest_size=8).hexdigest()

    def __repr__(self) -> str:
        return f"FileRootKey({self._id})"

    @property
    def key_id(self) -> str:
        """Name the key by a keyed digest, from which it cannot be found."""
        return self._id

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], *, may_create: bool = True) -> FileRootKey:
        """Open the key file, or make one (mode 0600, in a folder of mode 0700, on disk) when there is none yet.

        Give `may_create=False` when something is sealed already: a new key would not open it.

        Raises:
            KeyFileUnsafe: the file can be read by others, is damaged or too short, or is missing and must not be made.
        """
        file = Path(path)
        while True:
            try:
                return cls(file, _read(file))
            except FileNotFoundError:
                if not may_create:
                    raise KeyFileUnsafe(str(file), "is missing while sealed data exists", _RESTORE) from None
            except OSError as error:
                raise KeyFileUnsafe(str(file), f"cannot be read ({error.strerror})", "let its owner alone read it") from None
            try:
                _create(file)
            except OSError as error:
                raise KeyFileUnsafe(str(file), f"cannot be made ({error.strerror})", "choose a folder that takes it") from None

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt with AES-256-GCM under a fresh random nonce."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt what `wrap` gave.

        Raises:
            WrongKey: another key or another context wrapped it, or it was changed.
        """
        try:
            return self._cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise WrongKey(str(self._path)) from None


def _check(key: bytes) -> str:
    return hashlib.sha256(key).digest()[:_CHECK_BYTES].hex()


def _read(file: Path) -> bytes:
    """Read the key of a file after checking who else may read it."""
    with file.open("rb") as handle:
        status = os.fstat(handle.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileUnsafe(str(file), "is not a regular file", _RESTORE)
        if os.name == "posix" and status.st_mode & 0o077:
            raise KeyFileUnsafe(str(file), "can be used by others than its owner", f"chmod 600 {file}")
        content = handle.read(4096)
    lines = content.split()
    header = _HEADER.encode().split()
    if lines[: len(header)] != header:
        raise KeyFileUnsafe(str(file), "does not start as a root key file does", _RESTORE)
    if len(lines) != len(header) + 2:
        raise KeyFileUnsafe(str(file), "is cut short or has too much in it", _RESTORE)
    try:
        key = base64.b64decode(lines[-2], validate=True)
    except binascii.Error:
        raise KeyFileUnsafe(str(file), "is damaged", _RESTORE) from None
    if len(key) != _KEY_BYTES:
        raise KeyFileUnsafe(str(file), f"holds a key of {len(key)} bytes instead of {_KEY_BYTES}", _RESTORE)
    if not secrets.compare_digest(_check(key).encode(), lines[-1]):
        raise KeyFileUnsafe(str(file), "is damaged (its check value does not fit)", _RESTORE)
    return key


def _create(file: Path) -> None:
    """Put a new key file in place whole and durable, unless another process has just done so."""
    if not file.parent.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = secrets.token_bytes(_KEY_BYTES)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(f"{_HEADER}\n{base64.b64encode(key).decode()}\n{_check(key)}\n")
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(draft, file)  # unlike a rename, a link never replaces a key that another process has just made
        except FileExistsError:
            return
    finally:
        draft.unlink()
        _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
