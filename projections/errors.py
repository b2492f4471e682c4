"""What the read models refuse.

ProjectionUnavailable    the database does not answer now
"""

from __future__ import annotations


class ProjectionUnavailable(Exception):
    """Ask again: nothing was changed by asking."""
