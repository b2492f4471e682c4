"""Read models: what a saga looks like to those who ask, folded from the log alone."""

from .statements import MIGRATIONS

__all__ = ["MIGRATIONS"]
