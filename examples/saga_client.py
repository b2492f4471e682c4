"""The demo's HTTP client: start a saga, then collect its status, its events and its effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from .addresses import Addresses, DemoFailed

MAX_START_WAIT = timedelta(seconds=60)  # the longest wait that a start accepts
START_TIMEOUT = timedelta(
    seconds=75
)  # longer, so that a slow saga does not look like a dead service
MAX_PAGES = 20  # of events; a saga of three steps needs one

Model = TypeVar("Model", bound=BaseModel)


class ResponseModel(BaseModel):
    """The members of a response that the demo reads; it ignores all others."""

    model_config = ConfigDict(frozen=True)


class EventData(ResponseModel):
    step: str | None = None
    attempt: int | None = None
    error: object = None


class RecordedEvent(ResponseModel):
    version: int
    type: str
    recorded_at: AwareDatetime
    actor: object = None
    reason: object = None
    data: EventData = EventData()


class EventPage(ResponseModel):
    events: tuple[RecordedEvent, ...]


class Started(ResponseModel):
    saga_id: str


class SagaStatus(ResponseModel):
    saga_type: str
    status: str
    success: bool
    error: str | None = None


class Order(ResponseModel):
    order_id: int
    status: str
    total_amount: float


class Payment(ResponseModel):
    payment_id: int
    status: str
    amount: float


class Orders(ResponseModel):
    orders: tuple[Order, ...]


class Payments(ResponseModel):
    payments: tuple[Payment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaSnapshot:
    """One saga: its status, its events, and its effects at the participants."""

    saga_id: str
    status: SagaStatus
    events: Sequence[RecordedEvent]
    orders: Sequence[Order]
    payments: Sequence[Payment]


class DemoClient:
    """A client of the three services. Raises DemoFailed for an unusable response."""

    def __init__(self, client: httpx.AsyncClient, addresses: Addresses) -> None:
        self._client = client
        self._addresses = addresses

    async def start_saga(self, order: Mapping[str, object]) -> str:
        """Start a saga, wait until it is at rest, and return its id."""
        reply = await self._client.post(
            f"{self._addresses.service.url}/sagas/start",
            json=order,
            headers={"prefer": f"wait={MAX_START_WAIT.total_seconds():.0f}"},
            timeout=START_TIMEOUT.total_seconds(),
        )
        return read_response(Started, reply).saga_id

    async def fetch_snapshot(self, saga_id: str) -> SagaSnapshot:
        saga = f"{self._addresses.service.url}/sagas/{saga_id}"
        return SagaSnapshot(
            saga_id=saga_id,
            status=await self._get(SagaStatus, f"{saga}/status"),
            events=await self._events(f"{saga}/events"),
            orders=(await self._get(Orders, f"{self._orders}?saga_id={saga_id}")).orders,
            payments=(await self._get(Payments, f"{self._payments}?saga_id={saga_id}")).payments,
        )

    async def decline_cards(self, *, declined: bool) -> None:
        url = f"{self._addresses.payments.url}/decline"
        read_response(ResponseModel, await self._client.put(url, json={"declined": declined}))

    @property
    def _orders(self) -> str:
        return f"{self._addresses.orders.url}/orders"

    @property
    def _payments(self) -> str:
        return f"{self._addresses.payments.url}/payments"

    async def _get(self, model: type[Model], url: str) -> Model:
        return read_response(model, await self._client.get(url))

    async def _events(self, url: str) -> Sequence[RecordedEvent]:
        events: list[RecordedEvent] = []
        page = httpx.URL(url)
        for _ in range(MAX_PAGES):
            reply = await self._client.get(page)
            events += read_response(EventPage, reply).events
            if "next" not in reply.links:
                return events
            page = page.join(reply.links["next"]["url"])
        raise DemoFailed(f"{url} has more than {MAX_PAGES} pages")


def read_response(model: type[Model], reply: httpx.Response) -> Model:
    request = f"{reply.request.method} {reply.request.url}"
    if not reply.is_success:
        raise DemoFailed(f"{request} answered {reply.status_code}: {reply.text[:300]}")
    try:
        return model.model_validate_json(reply.content)
    except ValidationError as error:
        raise DemoFailed(f"{request} has an unexpected response: {error}") from error
