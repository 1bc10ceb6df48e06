"""Turn simulated records into what a client sends."""

from __future__ import annotations

import datetime as dt

from goldenthread.cli.demo.sources import SimulatedRecord
from goldenthread.client import AttributeInput, Consent, ConsentState, Party, Record

__all__ = ["to_record"]

_PARTIES = (Party.ZERO, Party.FIRST, Party.SECOND, Party.THIRD)


def to_record(simulated: SimulatedRecord) -> Record:
    """Write a simulated record as its source would send it: texts as they were typed, consents beside them."""
    attributes: dict[str, AttributeInput] = dict(simulated.values)
    consents = [
        Consent(
            purpose=consent.purpose,
            state=ConsentState.GIVEN if consent.is_given else ConsentState.WITHDRAWN,
            event_time=_midday(consent.stated_on),
            channel=consent.channel,
            contact_point=consent.contact_point,
            jurisdiction="US",
            collection_method="web form" if simulated.source == "webshop" else "call",
        )
        for consent in simulated.consents
    ]
    return Record(
        simulated.source,
        simulated.record_id,
        attributes,
        party=_PARTIES[simulated.party],
        observed_at=_midday(simulated.observed_on),
        consents=consents,
    )


def _midday(day: dt.date) -> dt.datetime:
    """The middle of a day, UTC."""
    return dt.datetime(day.year, day.month, day.day, 12, tzinfo=dt.UTC)
