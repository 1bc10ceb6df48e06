"""What can go wrong in the graph.

GraphError
├── StoreUnavailable   the store does not answer, or lost the transaction          retry helps
├── StoreFull          no space is left                                            retry helps once there is
├── StoreInUse         another process owns the store                              retry helps once it stopped
├── StoreTooNew        a newer program wrote the store                             retry does not help
├── StoreUrlInvalid    the store's URL names no place where one can be             retry does not help
├── Conflict           another writer was faster; the store runs the work again    retry helps
├── Unsupported        the store does not claim the capability                     retry does not help
├── RevisionUnknown    a revision that was never reached                           retry does not help
└── VaultError
    ├── WrongKey       the root key does not open this key store                   retry does not help
    ├── KeyFileUnsafe  the root key file is missing, damaged or readable by others retry does not help
    └── Tampered       sealed bytes do not belong where they were found            retry does not help
"""

from __future__ import annotations

__all__ = [
    "Conflict",
    "GraphError",
    "KeyFileUnsafe",
    "RevisionUnknown",
    "StoreFull",
    "StoreInUse",
    "StoreTooNew",
    "StoreUnavailable",
    "StoreUrlInvalid",
    "Tampered",
    "Unsupported",
    "VaultError",
    "WrongKey",
]


class GraphError(Exception):
    """Stand at the root of the graph's errors; `is_retryable` says whether a retry can help."""

    is_retryable = False


class StoreUnavailable(GraphError):
    """The store does not answer or lost the transaction: nothing of it is kept."""

    is_retryable = True

    def __init__(self, store: str, problem: str) -> None:
        self.store, self.problem = store, problem
        super().__init__(f"The {store} store is unavailable ({problem}); nothing was kept, so try again once it is back.")


class StoreFull(GraphError):
    """No space is left for the store: nothing of the transaction is kept."""

    is_retryable = True

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(f"The disk of the {store} store is full; nothing was kept, so make space and try again.")


class StoreInUse(GraphError):
    """Another process owns the store."""

    is_retryable = True

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"Another process is using the store at {path}; stop it or choose another --data folder.")


class StoreTooNew(GraphError):
    """A newer program wrote the store."""

    def __init__(self, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(f"The store has schema {found}, this program knows up to {known}; use a newer goldenthread.")


class StoreUrlInvalid(GraphError):
    """The URL of the store can't be one; `wanted` is what it should be like."""

    def __init__(self, store: str, wanted: str) -> None:
        self.store = store
        super().__init__(f"The URL of the {store} store is not valid; write it as {wanted}.")


class Conflict(GraphError):
    """Another writer changed what this transaction had read; the store runs it again."""

    is_retryable = True

    def __init__(self, store: str) -> None:
        self.store = store
        super().__init__(f"Another writer of the {store} store was faster; try again.")


class Unsupported(GraphError):
    """The store does not claim the capability."""

    def __init__(self, store: str, capability: str) -> None:
        self.store, self.capability = store, capability
        super().__init__(f"The {store} store has no {capability}; use a store that has.")


class RevisionUnknown(GraphError):
    """A revision that was never reached."""

    def __init__(self, revision: int, latest: int) -> None:
        self.revision, self.latest = revision, latest
        super().__init__(f"Revision {revision} was not reached yet; the latest is {latest}.")


class VaultError(GraphError):
    """Stand at the root of the vault's errors."""


class WrongKey(VaultError):
    """The root key does not open this key store."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(f"The root key {where} does not open this key store; give the key it was made with.")


class KeyFileUnsafe(VaultError):
    """The root key file is missing, damaged or readable by others."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        self.path, self.problem, self.remedy = path, problem, remedy
        super().__init__(f"The root key file {path} {problem}; {remedy}.")


class KeysMissing(VaultError):
    """A tenant's data are stored, but its keys are not in the key store."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        super().__init__(
            f"The keys of the tenant {tenant} are missing though its data are stored; bring keys.db back from its backup."
        )


class Tampered(VaultError):
    """Sealed bytes do not belong where they were found, or were changed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"A sealed {kind} fails its authentication; restore the store from a backup.")
