"""Whether the log is what was written."""

from __future__ import annotations

from starlette.responses import Response

from ...fsm.strict_json import Json
from ...projections.audit import AuditVerdict
from ..models import NoQuery, query_of
from ..reply import json_reply
from ..request import Request
from ..services import Services


async def verify(request: Request, services: Services) -> Response:
    query_of(NoQuery, request)
    return json_reply(_view(await services.audit()))


def _view(verdict: AuditVerdict) -> dict[str, Json]:
    bad = verdict.first_bad
    if bad is None:
        heads: Json = {
            str(shard_id): {"seq": head.seq, "epoch": head.epoch, "hash": head.hash.hex()}
            for shard_id, head in verdict.heads.items()
        }
        return {"valid": True, "events": verdict.events, "heads": heads}
    why = "it, or what stood before it, is not what was written"
    place: Json = {"shard_id": bad.shard_id, "seq": bad.seq, "saga_id": bad.stream_id, "why": why}
    return {"valid": False, "first_bad": place}
