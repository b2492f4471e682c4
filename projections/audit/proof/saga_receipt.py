"""The receipt of a saga: a proof of inclusion of its newest event, with all of its events.

The newest leaf names the one before it, and so on to the first, so the one proof vouches for all of
these. It does not show that no later event was recorded: a receipt is of the saga as it was when it
was given. Each event comes with its payload, as recorded, and the salt of its commitment.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from ....eventstore import RecordedEvent, StreamId
from ....fsm.codec import format_time
from .checkpoint import Checkpoint, InvalidCheckpoint
from .inclusion_receipt import InclusionReceipt, InvalidReceipt
from .leaf import SALT_BYTES, commitment, hash_of_leaf, leaf_text
from .merkle_tree import InvalidProof, root_by_inclusion
from .signed_note import InvalidNote, Note, Verifier

NO_HASH: Final = b""  # the hash in the chain of a shard is not part of a leaf


class DisclosedEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event in a receipt: `salt` is in base 64, `payload` is the JSON text as recorded."""

    shard: int
    seq: int
    epoch: int
    version: int
    type: str
    schema_version: int
    recorded_at: str
    salt: str
    payload: str


class DisclosedSaga(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    saga_id: str
    events: list[DisclosedEvent]


@dataclass(frozen=True, slots=True)
class VerifiedSaga:
    """What a receipt has proved: that these are the first events of the saga, in a tree that
    `signers` have signed. Later ones are not excluded."""

    saga_id: str
    events: Sequence[RecordedEvent]
    checkpoint: Checkpoint
    signers: Sequence[str]


def saga_receipt(
    events: Sequence[RecordedEvent],
    salts: Iterable[bytes],
    index: int,
    proof: Sequence[bytes],
    signed_checkpoint: str,
) -> str:
    """Return the receipt of a saga, given all of its events and the index of the newest leaf."""
    saga = DisclosedSaga(
        saga_id=events[0].stream_id,
        events=[_disclosed(event, salt) for event, salt in zip(events, salts, strict=True)],
    )
    extra = _encode(saga)
    return str(InclusionReceipt(index, tuple(proof), signed_checkpoint, extra))


def verify_saga_receipt(text: str, origin: str, verifiers: Iterable[Verifier]) -> VerifiedSaga:
    """Return what the receipt proves about the tree `origin` to who trusts these keys.

    Raises InvalidReceipt.
    """
    receipt = InclusionReceipt.parse(text)
    try:
        note = Note.parse(receipt.checkpoint)
        signers = [signer.name for signer in note.verify(verifiers)]
        checkpoint = Checkpoint.parse(note.text)
        saga = _decode(receipt.extra or b"")
        events, salts = zip(*(_recorded(saga.saga_id, event) for event in saga.events), strict=True)
        leaf = newest_leaf(events, salts)
        root = root_by_inclusion(leaf, receipt.index, checkpoint.size, receipt.proof)
    except InvalidNote as error:
        raise InvalidReceipt(f"the checkpoint is not signed: {error}") from error
    except (InvalidCheckpoint, InvalidProof) as error:
        raise InvalidReceipt(str(error)) from error
    except (MsgspecError, ValueError) as error:
        raise InvalidReceipt(f"its events cannot be read: {error}") from error
    if checkpoint.origin != origin:
        raise InvalidReceipt(f"it is of the tree {checkpoint.origin}")
    if root != checkpoint.root:
        raise InvalidReceipt("the events are not those of the tree")
    return VerifiedSaga(saga.saga_id, events, checkpoint, signers)


def newest_leaf(events: Sequence[RecordedEvent], salts: Sequence[bytes]) -> bytes:
    """Return the hash of the leaf of the last of these events of a saga. Raises ValueError unless
    they are its first ones, in order."""
    if [event.version for event in events] != [*range(1, len(events) + 1)]:
        raise ValueError("they are not the first events of a saga, in order")
    leaf: bytes | None = None
    for event, salt in zip(events, salts, strict=True):
        leaf = hash_of_leaf(leaf_text(event, commitment(salt, event.payload), leaf))
    assert leaf is not None
    return leaf


def _disclosed(event: RecordedEvent, salt: bytes) -> DisclosedEvent:
    return DisclosedEvent(
        shard=event.shard_id,
        seq=event.seq,
        epoch=event.epoch,
        version=event.version,
        type=event.type,
        schema_version=event.schema_version,
        recorded_at=format_time(event.recorded_at),
        salt=b64encode(salt).decode(),
        payload=event.payload.decode(),
    )


def _recorded(saga_id: str, event: DisclosedEvent) -> tuple[RecordedEvent, bytes]:
    recorded_at, salted = datetime.fromisoformat(event.recorded_at), b64decode(event.salt)
    if format_time(recorded_at) != event.recorded_at or b64encode(salted).decode() != event.salt:
        raise ValueError("a time or a salt is written in another way than the log does")
    if len(salted) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    recorded = RecordedEvent(
        event.shard,
        event.seq,
        StreamId(saga_id),
        event.version,
        event.epoch,
        event.type,
        event.schema_version,
        recorded_at,
        event.payload.encode(),
        NO_HASH,
    )
    return recorded, salted


_encode: Any = Encoder().encode
_decode = Decoder(DisclosedSaga).decode
