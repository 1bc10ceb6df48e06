"""ExploreService: walks of the graph."""

from __future__ import annotations

import grpc

from goldenthread.graph.model import EdgeKind, Node, NodeKind, SemanticType
from goldenthread.resolver.relationships import kinds_of
from goldenthread.server.access import current_caller
from goldenthread.server.commands import Engine
from goldenthread.server.commands.explore import (
    WALKED,
    Walk,
    expand_nodes,
    find_path,
    get_network,
)
from goldenthread.server.commands.households import HouseholdView, get_households, list_households, list_memberships
from goldenthread.server.commands.ids import name_of, parse_name
from goldenthread.server.commands.relationships import list_relationships
from goldenthread.server.commands.tenants import Tenant
from goldenthread.server.errors import NotFound
from goldenthread.server.services.callers import calling_tenant, check_parent
from goldenthread.server.services.edge import check, page_size, page_start, page_token
from goldenthread.server.services.translate import bits, moment_of, timestamp
from goldenthread.server.sight import Sight
from goldenthread.v1 import explore_service_pb2 as pb
from goldenthread.v1 import explore_service_pb2_grpc, record_pb2

__all__ = ["ExploreService"]

_DEFAULT_NODES = 200
_KINDS = {
    NodeKind.SOURCE: ("sources", pb.NODE_KIND_SOURCE),
    NodeKind.RECORD: ("records", pb.NODE_KIND_RECORD),
    NodeKind.IDENTIFIER: ("identifiers", pb.NODE_KIND_IDENTIFIER),
    NodeKind.IDENTITY: ("identities", pb.NODE_KIND_IDENTITY),
    NodeKind.HOUSEHOLD: ("households", pb.NODE_KIND_HOUSEHOLD),
    NodeKind.CONSENT: ("consents", pb.NODE_KIND_CONSENT),
    NodeKind.DECISION: ("decisions", pb.NODE_KIND_DECISION),
    NodeKind.RELATION: ("relations", pb.NODE_KIND_RELATION),
}
_KIND_OF = {value: kind for kind, (_, value) in _KINDS.items()}
_COLLECTIONS = tuple(collection for collection, _ in _KINDS.values())


class ExploreService(explore_service_pb2_grpc.ExploreServiceServicer):
    """Walk the graph."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _sight(self) -> Sight:
        return self._engine.sight_of(current_caller())

    async def ExpandNodes(  # noqa: N802 - the proto's name
        self, request: pb.ExpandNodesRequest, context: grpc.aio.ServicerContext[pb.ExpandNodesRequest, pb.ExpandNodesResponse]
    ) -> pb.ExpandNodesResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        ids = [_id_of(tenant, name, "names") for name in request.names]
        kinds = frozenset(_KIND_OF[kind] for kind in request.kinds) or WALKED
        limit = request.limit or _DEFAULT_NODES
        moment, hops = moment_of(request.as_of), request.hops or 1
        walk = await expand_nodes(self._engine, tenant, ids, kinds, hops, limit, moment, self._sight())
        return pb.ExpandNodesResponse(graph=_graph(tenant, walk))

    async def FindPath(  # noqa: N802 - the proto's name
        self, request: pb.FindPathRequest, context: grpc.aio.ServicerContext[pb.FindPathRequest, pb.FindPathResponse]
    ) -> pb.FindPathResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        start, end = _id_of(tenant, getattr(request, "from"), "from"), _id_of(tenant, request.to, "to")
        moment, hops = moment_of(request.as_of), request.max_hops or 8
        walk = await find_path(self._engine, tenant, start, end, hops, moment, self._sight())
        return pb.FindPathResponse(path=_graph(tenant, walk))

    async def GetHousehold(  # noqa: N802 - the proto's name
        self,
        request: pb.GetHouseholdRequest,
        context: grpc.aio.ServicerContext[pb.GetHouseholdRequest, pb.GetHouseholdResponse],
    ) -> pb.GetHouseholdResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        collection, id = parse_name(tenant.name, request.name, "identities", "households")
        found = await get_households(self._engine, tenant, collection, id, moment_of(request.as_of), self._sight())
        return pb.GetHouseholdResponse(
            households=[_household(tenant, view) for view in found.views], history_was_cut=found.was_cut
        )

    async def ListHouseholds(  # noqa: N802 - the proto's name
        self,
        request: pb.ListHouseholdsRequest,
        context: grpc.aio.ServicerContext[pb.ListHouseholdsRequest, pb.ListHouseholdsResponse],
    ) -> pb.ListHouseholdsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        check_parent(tenant, request.parent)
        start, size = page_start(request.page_token, (0, 1, 17)), page_size(request.page_size)
        views, following = await list_households(self._engine, tenant, start, size, moment_of(request.as_of), self._sight())
        return pb.ListHouseholdsResponse(
            households=[_household(tenant, view) for view in views], next_page_token=page_token(following)
        )

    async def ListMemberships(  # noqa: N802 - the proto's name
        self,
        request: pb.ListMembershipsRequest,
        context: grpc.aio.ServicerContext[pb.ListMembershipsRequest, pb.ListMembershipsResponse],
    ) -> pb.ListMembershipsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        _, id = parse_name(tenant.name, request.name, "identities")
        found = await list_memberships(self._engine, tenant, id, moment_of(request.as_of), self._sight())
        return pb.ListMembershipsResponse(
            memberships=[
                pb.Membership(
                    household=name_of(tenant.name, "households", one.household),
                    rule=pb.HouseholdRule.ValueType(one.rule),
                    reason=one.reason,
                    from_revision=one.since,
                    from_time=timestamp(one.since_at),
                    to_revision=one.until,
                    to_time=timestamp(one.until_at) if one.until else None,
                )
                for one in found
            ]
        )

    async def ListRelationships(  # noqa: N802 - the proto's name
        self,
        request: pb.ListRelationshipsRequest,
        context: grpc.aio.ServicerContext[pb.ListRelationshipsRequest, pb.ListRelationshipsResponse],
    ) -> pb.ListRelationshipsResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        _, id = parse_name(tenant.name, request.name, "identities")
        found = await list_relationships(self._engine, tenant, id, moment_of(request.as_of), self._sight())
        return pb.ListRelationshipsResponse(
            relationships=[
                pb.IdentityRelationship(
                    kind=record_pb2.RelationshipKind.ValueType(one.kind),
                    identity=name_of(tenant.name, "identities", one.identity) if one.identity else "",
                    record=name_of(tenant.name, "records", one.record),
                    source=one.source,
                    because=one.because,
                    from_revision=one.since,
                )
                for one in found
            ]
        )

    async def GetNetwork(  # noqa: N802 - the proto's name
        self, request: pb.GetNetworkRequest, context: grpc.aio.ServicerContext[pb.GetNetworkRequest, pb.GetNetworkResponse]
    ) -> pb.GetNetworkResponse:
        check(request)
        tenant = await calling_tenant(self._engine)
        ids = [parse_name(tenant.name, name, "identities", field="names")[1] for name in request.names]
        limit = request.limit or _DEFAULT_NODES
        walk = await get_network(
            self._engine,
            tenant,
            ids,
            request.max_hops or 6,
            min(request.build_out_hops, 2),
            limit,
            moment_of(request.as_of),
            self._sight(),
        )
        return pb.GetNetworkResponse(graph=_graph(tenant, walk))


def _household(tenant: Tenant, view: HouseholdView) -> pb.Household:
    members = {member.identity: name_of(tenant.name, "identities", member.identity) for member in view.members}
    return pb.Household(
        name=name_of(tenant.name, "households", view.id),
        members=list(members.values()),
        reason=view.reason,
        rule=pb.HouseholdRule.ValueType(view.rule),
        shared=view.shared,
        roles=[
            pb.HouseholdMember(
                identity=members[member.identity], role=pb.HouseholdRole.ValueType(member.role), because=member.because
            )
            for member in view.members
        ],
    )


def _id_of(tenant: Tenant, name: str, field: str) -> bytes:
    """Read the name of a node of any kind; another tenant's answers as one that is missing."""
    try:
        return parse_name(tenant.name, name, *_COLLECTIONS, field=field)[1]
    except NotFound:
        raise NotFound("node") from None


def _graph(tenant: Tenant, walk: Walk) -> pb.Subgraph:
    names = {node.id: name_of(tenant.name, _KINDS[node.kind][0], node.id) for node in walk.graph.nodes}
    return pb.Subgraph(
        nodes=[
            pb.GraphNode(
                name=names[node.id],
                kind=_KINDS[node.kind][1],
                label=walk.labels.get(node.id) or _label(node),
                facts=_facts(node),
            )
            for node in walk.graph.nodes
        ],
        edges=[
            pb.GraphEdge(
                source=names[edge.source],
                target=names[edge.target],
                kind=edge.kind.name,
                weight=bits(edge.weight) if edge.kind in (EdgeKind.MATCHES, EdgeKind.DISPUTED) else 0.0,
                relationships=[record_pb2.RelationshipKind.ValueType(kind) for kind in kinds_of(edge.weight)]
                if edge.kind is EdgeKind.RELATES
                else (),
            )
            for edge in walk.graph.edges
            if edge.source in names and edge.target in names and edge.kind is not EdgeKind.STAGED
        ],
        truncated=walk.graph.is_truncated,
        history_was_cut=walk.was_cut,
    )


def _label(node: Node) -> str:
    match node.kind:
        case NodeKind.SOURCE:
            return _text(node, "name")
        case NodeKind.RECORD:
            return f"{_text(node, 'source')} record"
        case NodeKind.CONSENT:
            return _text(node, "purpose")
        case NodeKind.DECISION:
            return _text(node, "kind")
        case NodeKind.HOUSEHOLD:
            return _text(node, "reason")
        case _:
            return node.kind.name.lower()


def _text(node: Node, name: str) -> str:
    value = node.properties[name]
    return value if isinstance(value, str) else ""


def _facts(node: Node) -> dict[str, str]:
    """Tell what is no personal data: never anything sealed."""
    facts = {name: str(value) for name, value in node.properties.items() if not isinstance(value, bytes)}
    if node.kind is NodeKind.IDENTIFIER:
        facts["type"] = SemanticType(int(facts["type"])).name
    return {**facts, "revision": str(node.recorded_from)}
