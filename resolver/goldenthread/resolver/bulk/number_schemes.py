"""Know numbers with check digits by their values: which scheme of which country a column's numbers follow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from msgspec import Struct

from goldenthread.graph.model import SemanticType

__all__ = ["Scheme", "is_valid", "scheme_of"]

_N, _T, _A = SemanticType.NATIONAL_ID, SemanticType.TAX_ID, SemanticType.CUSTOMER_ACCOUNT
_LEAST = 10
_VALID = 0.8
"""Share of valid numbers from which a column follows a scheme: chance makes at most a tenth of them valid."""

_SAMPLED = 200


class Scheme(Struct, frozen=True):
    """A scheme of numbers, by the name of its module in python-stdnum, its country (empty: any) and what it means."""

    name: str
    type: SemanticType


_SCHEMES = tuple(
    Scheme(name, kind)
    for kind, names in (
        (_N, "es.dni es.nie fr.nir it.codicefiscale pl.pesel se.personnummer nl.bsn be.nn dk.cpr fi.hetu no.fodselsnummer "
             "ca.sin gb.nhs mx.curp cz.rc ch.ssn br.cpf in_.aadhaar tr.tckimlik ro.cnp bg.egn ee.ik lt.asmens cl.rut cn.ric "
             "kr.rrn za.idnr"),
        (_T, "de.idnr de.vat fr.siren fr.siret es.cif it.iva pl.nip br.cnpj au.tfn au.abn at.uid gb.vat gb.utr pt.nif ar.cuit"),
        (_A, "iban"),
    )
    for name in names.split()
)  # fmt: skip


class _Module(Protocol):
    def is_valid(self, number: str) -> bool: ...


@cache
def _module(name: str) -> _Module:
    return cast(_Module, import_module(f"stdnum.{name}"))


def is_valid(scheme: Scheme, number: str) -> bool:
    """Say whether a number is right by the check digits of a scheme."""
    return _module(scheme.name).is_valid(number.removesuffix(".0"))


def scheme_of(sample: Sequence[str], kind: SemanticType | None = None) -> Scheme | None:
    """Find the scheme that nearly all numbers of a column follow, among those of one type if told; None when none is."""
    numbers = list(dict.fromkeys(value for value in sample if sum(map(str.isdigit, value)) >= 7 and len(value) <= 40))[
        :_SAMPLED
    ]
    if len(numbers) < _LEAST or 2 * len(numbers) < len(set(sample[:_SAMPLED])):
        return None
    best: tuple[float, Scheme] | None = None
    for scheme in _SCHEMES:
        if kind is None or scheme.type is kind:
            # Most schemes are ruled out by a few numbers.
            if sum(is_valid(scheme, number) for number in numbers[:_LEAST]) * 2 < _LEAST:
                continue
            share = sum(is_valid(scheme, number) for number in numbers) / len(numbers)
            if share >= _VALID and (best is None or share > best[0]):
                best = share, scheme
    return best[1] if best else None
