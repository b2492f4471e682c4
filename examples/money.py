"""Amounts of money: exact on the way in, whole cents in the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

MAX_AMOUNT = 10_000_000

Money = Annotated[Decimal, Field(gt=0, le=MAX_AMOUNT, decimal_places=2)]


def to_cents(amount: Decimal) -> int:
    return int(amount * 100)


def from_cents(cents: int) -> float:
    """For JSON; exact to the cent, as every amount up to MAX_AMOUNT is."""
    return cents / 100
