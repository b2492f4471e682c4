"""The whole log by the page."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from ...fsm.errors import Finding
from ...projections.cursor import Cursor, InvalidCursor
from ...projections.feed import FeedFilter, FeedPage
from ..errors import InvalidQuery
from ..models import FeedQuery, query_of
from ..page_entries import PageEntries
from ..request import Request
from ..services import Services

START: Final = Cursor()


async def all_events(request: Request, services: Services) -> Response:
    query = query_of(FeedQuery, request)
    wanted, entries = FeedFilter(type=query.type, saga_type=query.saga_type), PageEntries()
    page = await services.feed.page(wanted, _after(query), query.limit, entries.add)
    return entries.reply("events", {"next": page.next.encode()}, _link(query, page))


def _after(query: FeedQuery) -> Cursor:
    if query.after is None:
        return START
    try:
        return Cursor.decode(query.after)
    except InvalidCursor as error:
        finding = Finding(code="bad-cursor", pointer="/after", detail=str(error))
        raise InvalidQuery([finding]) from error


def _link(query: FeedQuery, page: FeedPage) -> dict[str, str]:
    if not page.has_more:
        return {}
    given = query.model_dump(exclude_none=True)
    return {"Link": f'</events?{urlencode({**given, "after": page.next.encode()})}>; rel="next"'}
