"""Amounts of money: exact decimals in requests, whole cents in the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

MAX_AMOUNT = 10_000_000

Money = Annotated[Decimal, Field(gt=0, le=MAX_AMOUNT, decimal_places=2)]


def to_cents(amount: Decimal) -> int:
    return int(amount * 100)


def from_cents(cents: int) -> float:
    """Return an amount for JSON, exact to the cent up to MAX_AMOUNT."""
    return cents / 100
