"""Call ExploreService for households and relationships: the methods that `Client` and `AsyncClient` have for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol, TypeVar

import grpc

from goldenthread.client.requests import AsOf, Requests, as_of_message
from goldenthread.v1 import explore_service_pb2 as pb
from goldenthread.v1 import explore_service_pb2_grpc as pb_grpc

__all__ = ["AsyncHouseholds", "SyncHouseholds"]

Q = TypeVar("Q")
A = TypeVar("A")


class _Sync(Protocol):
    _requests: Requests
    _explore: pb_grpc.ExploreServiceStub

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class _Async(Protocol):
    _requests: Requests
    _explore: pb_grpc.ExploreServiceAsyncStub

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A: ...


class SyncHouseholds:
    """What `Client` can do with households."""

    def get_household(self: _Sync, name: str, *, as_of: AsOf = None) -> list[pb.Household]:
        """Return the households of an identity, or one household by its whole name."""
        return list(self._call(self._explore.GetHousehold, _get(self._requests, name, as_of)).households)

    def list_households(self: _Sync, *, page_size: int = 500, as_of: AsOf = None) -> Iterator[pb.Household]:
        """Yield households, page by page."""
        token = ""
        while True:
            page = self._call(self._explore.ListHouseholds, _list(self._requests, page_size, token, as_of))
            yield from page.households
            token = page.next_page_token
            if not token:
                return

    def list_memberships(self: _Sync, name: str, *, as_of: AsOf = None) -> list[pb.Membership]:
        """Return the households that an identity was in over time, the latest first."""
        return list(self._call(self._explore.ListMemberships, _memberships(self._requests, name, as_of)).memberships)

    def list_relationships(self: _Sync, name: str, *, as_of: AsOf = None) -> list[pb.IdentityRelationship]:
        """Return what others are to an identity."""
        return list(self._call(self._explore.ListRelationships, _relationships(self._requests, name, as_of)).relationships)


class AsyncHouseholds:
    """What `AsyncClient` can do with households."""

    async def get_household(self: _Async, name: str, *, as_of: AsOf = None) -> list[pb.Household]:
        """Return the households of an identity, or one household by its whole name."""
        return list((await self._call(self._explore.GetHousehold, _get(self._requests, name, as_of))).households)

    async def list_households(self: _Async, *, page_size: int = 500, as_of: AsOf = None) -> AsyncIterator[pb.Household]:
        """Yield households, page by page."""
        token = ""
        while True:
            page = await self._call(self._explore.ListHouseholds, _list(self._requests, page_size, token, as_of))
            for household in page.households:
                yield household
            token = page.next_page_token
            if not token:
                return

    async def list_memberships(self: _Async, name: str, *, as_of: AsOf = None) -> list[pb.Membership]:
        """Return the households that an identity was in over time, the latest first."""
        return list((await self._call(self._explore.ListMemberships, _memberships(self._requests, name, as_of))).memberships)

    async def list_relationships(self: _Async, name: str, *, as_of: AsOf = None) -> list[pb.IdentityRelationship]:
        """Return what others are to an identity."""
        answer = await self._call(self._explore.ListRelationships, _relationships(self._requests, name, as_of))
        return list(answer.relationships)


def _get(requests: Requests, name: str, as_of: AsOf) -> pb.GetHouseholdRequest:
    """Ask for households; a name without its collection is an identity's."""
    return pb.GetHouseholdRequest(name=requests.name("identities", name), as_of=as_of_message(as_of))


def _list(requests: Requests, page_size: int, page_token: str, as_of: AsOf) -> pb.ListHouseholdsRequest:
    return pb.ListHouseholdsRequest(
        parent=requests.parent, page_size=page_size, page_token=page_token, as_of=as_of_message(as_of)
    )


def _memberships(requests: Requests, name: str, as_of: AsOf) -> pb.ListMembershipsRequest:
    return pb.ListMembershipsRequest(name=requests.name("identities", name), as_of=as_of_message(as_of))


def _relationships(requests: Requests, name: str, as_of: AsOf) -> pb.ListRelationshipsRequest:
    return pb.ListRelationshipsRequest(name=requests.name("identities", name), as_of=as_of_message(as_of))
