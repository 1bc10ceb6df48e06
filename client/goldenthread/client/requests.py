"""Write each call's request from plain values, once for both clients.

Names may be given whole (`tenants/acme/identities/7f…`) or as their last part alone (`7f…`).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

from goldenthread.client.following import Following
from goldenthread.client.record import AttributeInput, IdentifierKey, Record, SourceKey, attribute_values, to_timestamp
from goldenthread.v1 import (
    event_service_pb2,
    explore_service_pb2,
    golden_record_service_pb2,
    guard_rails_service_pb2,
    model_service_pb2,
    record_pb2,
    record_service_pb2,
    resolution_service_pb2,
)

__all__ = ["AsOf", "Requests", "new_request_id"]

AsOf = int | dt.datetime | None
"""A revision, a moment (UTC when it has no zone), or None for the latest."""


def new_request_id() -> str:
    """Make a request id nobody used before."""
    return uuid.uuid4().hex


def as_of_message(as_of: AsOf) -> record_pb2.AsOf | None:
    """Write the moment a read is asked as of."""
    if as_of is None:
        return None
    if isinstance(as_of, int):
        return record_pb2.AsOf(revision=as_of)
    return record_pb2.AsOf(time=to_timestamp(as_of))


def upsert(record: Record, request_id: str | None) -> record_service_pb2.UpsertRecordRequest:
    """Write one record to put; a record without a request id gets one, so that a repeated try is safe."""
    return record_service_pb2.UpsertRecordRequest(record=record.to_proto(), request_id=request_id or new_request_id())


class Requests:
    """Requests of one tenant."""

    __slots__ = ("parent", "tenant")

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.parent = f"tenants/{tenant}"

    def name(self, collection: str, given: str) -> str:
        """Complete a name that was given as its last part alone."""
        return given if "/" in given else f"{self.parent}/{collection}/{given}"

    def get_record(self, key: str | SourceKey, as_of: AsOf, include_history: bool) -> record_service_pb2.GetRecordRequest:
        """Ask for one record, by name or by its source's own id."""
        request = record_service_pb2.GetRecordRequest(as_of=as_of_message(as_of), include_history=include_history)
        if isinstance(key, SourceKey):
            request.source_key.CopyFrom(key.to_proto())
        else:
            request.name = self.name("records", key)
        return request

    def delete_record(
        self, key: str | SourceKey, observed_at: dt.datetime | None, request_id: str | None
    ) -> record_service_pb2.DeleteRecordRequest:
        """Ask to delete a record, by name or by its source's own id."""
        request = record_service_pb2.DeleteRecordRequest(
            request_id=request_id or new_request_id(), observed_at=to_timestamp(observed_at) if observed_at else None
        )
        if isinstance(key, SourceKey):
            request.source_key.CopyFrom(key.to_proto())
        else:
            request.name = self.name("records", key)
        return request

    def list_records(self, source: str, page_size: int, page_token: str, as_of: AsOf) -> record_service_pb2.ListRecordsRequest:
        """Ask for a page of records."""
        return record_service_pb2.ListRecordsRequest(
            parent=self.parent, source=source, page_size=page_size, page_token=page_token, as_of=as_of_message(as_of)
        )

    def resolve_record(
        self, attributes: Mapping[str, AttributeInput], max_candidates: int, min_probability: float, as_of: AsOf
    ) -> resolution_service_pb2.ResolveRecordRequest:
        """Ask who somebody is, by what is known."""
        return resolution_service_pb2.ResolveRecordRequest(
            parent=self.parent,
            attributes=attribute_values(attributes),
            max_candidates=max_candidates,
            min_probability=min_probability,
            as_of=as_of_message(as_of),
        )

    def get_identity(
        self, name: str | None, record: str | None, source_key: SourceKey | None, identifier: IdentifierKey | None, as_of: AsOf
    ) -> resolution_service_pb2.GetIdentityRequest:
        """Ask for an identity by exactly one key.

        Raises ValueError when none or several are given.
        """
        if sum(key is not None for key in (name, record, source_key, identifier)) != 1:
            raise ValueError("Give exactly one of name, record, source_key and identifier.")
        request = resolution_service_pb2.GetIdentityRequest(as_of=as_of_message(as_of))
        if name is not None:
            request.name = self.name("identities", name)
        elif record is not None:
            request.record = self.name("records", record)
        elif source_key is not None:
            request.source_key.CopyFrom(source_key.to_proto())
        elif identifier is not None:
            request.identifier.CopyFrom(identifier.to_proto())
        return request

    def list_identities(
        self, min_records: int, page_size: int, page_token: str, as_of: AsOf
    ) -> resolution_service_pb2.ListIdentitiesRequest:
        """Ask for a page of identities."""
        return resolution_service_pb2.ListIdentitiesRequest(
            parent=self.parent, min_records=min_records, page_size=page_size, page_token=page_token, as_of=as_of_message(as_of)
        )

    def explain_match(self, left: str, right: str, as_of: AsOf) -> resolution_service_pb2.ExplainMatchRequest:
        """Ask why two records or identities match, by whole names."""
        return resolution_service_pb2.ExplainMatchRequest(left=left, right=right, as_of=as_of_message(as_of))

    def explain_identity(
        self, name: str, without_records: Sequence[str], without_decision: str, as_of: AsOf
    ) -> resolution_service_pb2.ExplainIdentityRequest:
        """Ask how an identity came to be, and what it would be without records or a decision."""
        return resolution_service_pb2.ExplainIdentityRequest(
            name=self.name("identities", name),
            without_records=[self.name("records", record) for record in without_records],
            without_decision=self.name("decisions", without_decision) if without_decision else "",
            as_of=as_of_message(as_of),
        )

    def get_identity_lineage(
        self, name: str, page_size: int, page_token: str, as_of: AsOf
    ) -> resolution_service_pb2.GetIdentityLineageRequest:
        """Ask for a page of an identity's history."""
        return resolution_service_pb2.GetIdentityLineageRequest(
            name=self.name("identities", name), page_size=page_size, page_token=page_token, as_of=as_of_message(as_of)
        )

    def merge_identities(
        self,
        names: Sequence[str],
        reason: str,
        request_id: str | None,
        validate_only: bool,
        expire_time: dt.datetime | None,
        overrides_veto: bool,
    ) -> resolution_service_pb2.MergeIdentitiesRequest:
        """Ask to merge identities."""
        return resolution_service_pb2.MergeIdentitiesRequest(
            names=[self.name("identities", n) for n in names],
            reason=reason,
            request_id=request_id or new_request_id(),
            validate_only=validate_only,
            expire_time=to_timestamp(expire_time) if expire_time else None,
            overrides_veto=overrides_veto,
        )

    def split_identity(
        self,
        name: str,
        records: Sequence[str],
        reason: str,
        request_id: str | None,
        validate_only: bool,
        expire_time: dt.datetime | None,
    ) -> resolution_service_pb2.SplitIdentityRequest:
        """Ask to split records off an identity."""
        return resolution_service_pb2.SplitIdentityRequest(
            name=self.name("identities", name),
            records=[self.name("records", r) for r in records],
            reason=reason,
            request_id=request_id or new_request_id(),
            validate_only=validate_only,
            expire_time=to_timestamp(expire_time) if expire_time else None,
        )

    def get_golden_record(self, name: str, purpose: str, as_of: AsOf) -> golden_record_service_pb2.GetGoldenRecordRequest:
        """Ask for an identity's golden record."""
        return golden_record_service_pb2.GetGoldenRecordRequest(
            name=self.name("identities", name), purpose=purpose, as_of=as_of_message(as_of)
        )

    def batch_get_golden_records(
        self, names: Sequence[str], purpose: str, as_of: AsOf
    ) -> golden_record_service_pb2.BatchGetGoldenRecordsRequest:
        """Ask for several identities' golden records."""
        return golden_record_service_pb2.BatchGetGoldenRecordsRequest(
            parent=self.parent,
            names=[self.name("identities", name) for name in names],
            purpose=purpose,
            as_of=as_of_message(as_of),
        )

    def export_golden_records(
        self,
        *,
        csv: bool,
        resume_token: str,
        purpose: str,
        min_records: int,
        sources: Sequence[str],
        attributes: Sequence[str],
        masked: bool,
        as_of: AsOf,
    ) -> golden_record_service_pb2.ExportGoldenRecordsRequest:
        """Ask for all golden records that a filter leaves."""
        pb = golden_record_service_pb2
        return pb.ExportGoldenRecordsRequest(
            parent=self.parent,
            format=pb.EXPORT_FORMAT_CSV if csv else pb.EXPORT_FORMAT_ARROW,
            resume_token=resume_token,
            purpose=purpose,
            min_records=min_records,
            sources=sources,
            attributes=attributes,
            masked=masked,
            as_of=as_of_message(as_of),
        )

    def get_survivorship_rules(self, as_of: AsOf) -> golden_record_service_pb2.GetSurvivorshipRulesRequest:
        """Ask for the survivorship rules."""
        return golden_record_service_pb2.GetSurvivorshipRulesRequest(
            name=f"{self.parent}/survivorshipRules", as_of=as_of_message(as_of)
        )

    def update_survivorship_rules(
        self,
        rules: golden_record_service_pb2.SurvivorshipRules,
        request_id: str | None,
        validate_only: bool,
        sample: int,
    ) -> golden_record_service_pb2.UpdateSurvivorshipRulesRequest:
        """Ask to replace the survivorship rules, or what that would do."""
        request = golden_record_service_pb2.UpdateSurvivorshipRulesRequest(
            survivorship_rules=rules, request_id=request_id or new_request_id(), validate_only=validate_only, sample=sample
        )
        request.survivorship_rules.name = f"{self.parent}/survivorshipRules"
        return request

    def expand_nodes(
        self, names: Sequence[str], hops: int, limit: int, kinds: Sequence[explore_service_pb2.NodeKind.ValueType], as_of: AsOf
    ) -> explore_service_pb2.ExpandNodesRequest:
        """Ask for what lies around nodes, by whole names."""
        return explore_service_pb2.ExpandNodesRequest(
            names=names, hops=hops, limit=limit, kinds=kinds, as_of=as_of_message(as_of)
        )

    def find_path(self, start: str, end: str, max_hops: int, as_of: AsOf) -> explore_service_pb2.FindPathRequest:
        """Ask for a shortest path between two nodes, by whole names."""
        # `from` is a word of Python, so it can't be written as a keyword.
        return explore_service_pb2.FindPathRequest(**{"from": start}, to=end, max_hops=max_hops, as_of=as_of_message(as_of))

    def get_network(
        self, names: Sequence[str], max_hops: int, build_out_hops: int, limit: int, as_of: AsOf
    ) -> explore_service_pb2.GetNetworkRequest:
        """Ask what connects identities."""
        return explore_service_pb2.GetNetworkRequest(
            names=[self.name("identities", n) for n in names],
            max_hops=max_hops,
            build_out_hops=build_out_hops,
            limit=limit,
            as_of=as_of_message(as_of),
        )

    def get_guard_rails(self) -> guard_rails_service_pb2.GetGuardRailsRequest:
        """Ask for the guard rails."""
        return guard_rails_service_pb2.GetGuardRailsRequest(name=f"{self.parent}/guardRails")

    def update_guard_rails(
        self, rails: guard_rails_service_pb2.GuardRails, request_id: str | None, validate_only: bool
    ) -> guard_rails_service_pb2.UpdateGuardRailsRequest:
        """Ask to replace the guard rails, or what that would do."""
        request = guard_rails_service_pb2.UpdateGuardRailsRequest(
            guard_rails=rails, request_id=request_id or new_request_id(), validate_only=validate_only
        )
        request.guard_rails.name = f"{self.parent}/guardRails"
        return request

    def get_guard_counts(self) -> guard_rails_service_pb2.GetGuardCountsRequest:
        """Ask how often guards fired."""
        return guard_rails_service_pb2.GetGuardCountsRequest(name=f"{self.parent}/guardRails")

    def get_data_model(self) -> model_service_pb2.GetDataModelRequest:
        """Ask for the data model."""
        return model_service_pb2.GetDataModelRequest(name=f"{self.parent}/dataModel")

    def update_data_model(
        self, data_model: model_service_pb2.DataModel, removed_attributes: Sequence[str], request_id: str | None
    ) -> model_service_pb2.UpdateDataModelRequest:
        """Ask to declare attributes, and to remove some."""
        named = model_service_pb2.DataModel()
        named.CopyFrom(data_model)
        named.name = f"{self.parent}/dataModel"
        return model_service_pb2.UpdateDataModelRequest(
            data_model=named, removed_attributes=removed_attributes, request_id=request_id or new_request_id()
        )

    def get_match_model(self) -> model_service_pb2.GetMatchModelRequest:
        """Ask for the match model in use."""
        return model_service_pb2.GetMatchModelRequest(name=f"{self.parent}/matchModel")

    def subscribe(self, wanted: Following, cursor: str) -> event_service_pb2.SubscribeRequest:
        """Ask for the stream of events from a cursor on, or from where a subscription stands."""
        return event_service_pb2.SubscribeRequest(
            parent=self.parent,
            subscription=self.name("subscriptions", wanted.subscription) if wanted.subscription else "",
            cursor=cursor,
            only_new=wanted.only_new,
            types=wanted.types,
            identities=[self.name("identities", name) for name in wanted.identities],
        )

    def list_events(self, wanted: Following, page_size: int, page_token: str) -> event_service_pb2.ListEventsRequest:
        """Ask for a page of events."""
        return event_service_pb2.ListEventsRequest(
            parent=self.parent,
            cursor=wanted.cursor,
            types=wanted.types,
            identities=[self.name("identities", name) for name in wanted.identities],
            page_size=page_size,
            page_token=page_token,
        )

    def acknowledge(
        self, subscription: str, cursor: str, rewind: bool, request_id: str | None
    ) -> event_service_pb2.AcknowledgeRequest:
        """Ask to keep how far a subscription has come."""
        return event_service_pb2.AcknowledgeRequest(
            name=self.name("subscriptions", subscription),
            cursor=cursor,
            rewind=rewind,
            request_id=request_id or new_request_id(),
        )

    def get_subscription(self, name: str) -> event_service_pb2.GetSubscriptionRequest:
        """Ask for a subscription."""
        return event_service_pb2.GetSubscriptionRequest(name=self.name("subscriptions", name))

    def list_subscriptions(self, page_size: int, page_token: str) -> event_service_pb2.ListSubscriptionsRequest:
        """Ask for a page of subscriptions."""
        return event_service_pb2.ListSubscriptionsRequest(parent=self.parent, page_size=page_size, page_token=page_token)

    def delete_subscription(self, name: str, request_id: str | None) -> event_service_pb2.DeleteSubscriptionRequest:
        """Ask to delete a subscription."""
        return event_service_pb2.DeleteSubscriptionRequest(
            name=self.name("subscriptions", name), request_id=request_id or new_request_id()
        )

    def list_dead_letters(self, sink: str, page_size: int, page_token: str) -> event_service_pb2.ListDeadLettersRequest:
        """Ask for a page of a sink's dead letters."""
        return event_service_pb2.ListDeadLettersRequest(
            parent=self.name("subscriptions", sink), page_size=page_size, page_token=page_token
        )

    def replay_dead_letters(
        self, sink: str, events: Sequence[str], request_id: str | None
    ) -> event_service_pb2.ReplayDeadLettersRequest:
        """Ask to deliver dead letters again."""
        return event_service_pb2.ReplayDeadLettersRequest(
            name=self.name("subscriptions", sink),
            events=[self.name("events", name) for name in events],
            request_id=request_id or new_request_id(),
        )
