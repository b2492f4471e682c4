"""Sagas by the page."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.errors import Finding
from ...projections.cursor import InvalidCursor
from ...projections.listing import Listing, SagaFilter, summary_view
from ...projections.place import Place
from ..errors import InvalidQuery
from ..models import SagasQuery, single_parameters, validated_query
from ..page_entries import PageEntries
from ..request import Request
from ..services import Services
from ..wire_types import LONGEST_TAG, LONGEST_TAG_NAME, MOST_TAGS

TAG: Final = "tag."
READ_AT_A_TIME: Final = 250  # sagas, of some 60 KB at most


async def list_sagas(request: Request, services: Services) -> Response:
    given = single_parameters(request)
    tags = _tags(given)
    plain = {name: value for name, value in given.items() if not name.startswith(TAG)}
    query = validated_query(SagasQuery, plain)
    wanted = _filter(query, tags)
    await services.listing.refresh()
    entries = PageEntries()
    end = await _fill(entries, services.listing, wanted, _after(query, wanted), query.limit)
    cursor = None if end is None else end.encode()
    return entries.reply("sagas", {"next_cursor": cursor}, _link(given, cursor))


async def _fill(
    entries: PageEntries, listing: Listing, wanted: SagaFilter, after: Place | None, limit: int
) -> Place | None:
    """Where the page ends, if there are more. Few are read at a time: tags make one large."""
    while True:
        # One more than are wanted, to know whether there is a next page.
        asked = min(READ_AT_A_TIME, limit + 1 - len(entries))
        found = await listing.page(wanted, after, asked)
        for one in found:
            if len(entries) == limit or not await entries.add(summary_view(one)):
                return after
            after = wanted.place_of(one)
        if len(found) < asked:
            return None


def _tags(given: dict[str, str]) -> dict[str, str]:
    """Raises InvalidQuery for tags that no saga can have."""
    tags = {name.removeprefix(TAG): value for name, value in given.items() if name.startswith(TAG)}
    wrong = [name for name, value in tags.items() if not _is_tag(name, value)]
    if wrong or len(tags) > MOST_TAGS:
        place = f"/{TAG}{wrong[0]}" if wrong else ""
        raise InvalidQuery([Finding(code="bad-tag", pointer=place, detail="no saga can have it")])
    return tags


def _is_tag(name: str, value: str) -> bool:
    in_bounds = 1 <= len(name) <= LONGEST_TAG_NAME and len(value) <= LONGEST_TAG
    return in_bounds and "\0" not in name + value


def _filter(query: SagasQuery, tags: dict[str, str]) -> SagaFilter:
    return SagaFilter(
        saga_type=query.type,
        status=query.status,
        paused=query.paused,
        step=query.step,
        entity_id=query.entity_id,
        tags=tags,
        started_after=query.started_after,
        started_before=query.started_before,
        error=query.error,
    )


def _after(query: SagasQuery, wanted: SagaFilter) -> Place | None:
    """Raises InvalidQuery."""
    if query.cursor is None:
        return None
    try:
        return Place.decode(query.cursor, in_queue=wanted.is_queue)
    except InvalidCursor as error:
        finding = Finding(code="bad-cursor", pointer="/cursor", detail=str(error))
        raise InvalidQuery([finding]) from error


def _link(given: dict[str, str], cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    return {"Link": f'</sagas?{urlencode({**given, "cursor": cursor})}>; rel="next"'}
