"""Verify the receipt of a saga without the service that gave it.

    python verify.py ORIGIN KEY RECEIPT.tlog-proof

ORIGIN is the name of the log. KEY is its verifier key, or that of a witness, as they publish it:
`name+id+base64`. If the receipt proves the events in it, they are printed as JSON lines, with their
payloads as texts, and the exit code is 0; which saga, log and size these are is said on standard
error. Else it says why, and exits with 1.

What is proved: the log, when it had that size, began the saga with these events, in this order and
with these payloads. Later events are not excluded: a receipt is of the time when it was given.

This file needs nothing but Python 3.9 or later. It shares no code with the service, so that one can
find a mistake of the other. It is short enough to be read before it is trusted:

    signature    RFC 8032 (Ed25519) over the text of the checkpoint, c2sp.org/signed-note
    checkpoint   origin, size and root of a Merkle tree, c2sp.org/tlog-checkpoint
    proof        RFC 6962, section 2.1.1, from the leaf of the newest event to the root
    leaf         a text with the parts of an event, the HMAC of its payload under a salt, and the
                 hash of the leaf before it in the saga
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
from typing import Any

Point = tuple[int, int, int, int]  # extended coordinates of a point of the curve

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
ROOT_OF_MINUS_1 = pow(2, (PRIME - 1) // 4, PRIME)
NEUTRAL = (0, 1, 1, 0)
MEMBERS = {
    "shard": int,
    "seq": int,
    "epoch": int,
    "version": int,
    "type": str,
    "schema_version": int,
    "recorded_at": str,
    "salt": str,
    "payload": str,
}
BASE_Y = 4 * pow(5, PRIME - 2, PRIME) % PRIME


class Refused(Exception):
    """The receipt proves nothing."""


def verify(origin: str, key_text: str, receipt_text: str) -> tuple[str, list[Any], int]:
    """Return the saga's id, its events as in the receipt, and the size of the tree.

    Raises Refused, ValueError, LookupError, TypeError.
    """
    head, _, note = receipt_text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1" or len(lines) < 2:
        raise Refused("it is no receipt of a saga")
    saga = json.loads(decode(after("extra ", lines[0])))
    if list(saga) != ["saga_id", "events"] or not isinstance(saga["saga_id"], str):
        raise Refused("it holds what is not proved")
    index = int(after("index ", lines[1]))
    signed_origin, size, root = signed_checkpoint(key_text, note)
    if signed_origin != origin:
        raise Refused("it is of the log " + signed_origin)
    hash_ = leaf_of_saga(saga)
    siblings = [decode(line) for line in lines[2:]]
    if root_of(hash_, index, size, siblings) != root:
        raise Refused("the events are not those of the tree")
    return saga["saga_id"], saga["events"], size


def signed_checkpoint(key_text: str, note: str) -> tuple[str, int, bytes]:
    """Return origin, size and root of the tree that the owner of the key has signed."""
    name, key_id, encoded = key_text.split("+", 2)
    key = decode(encoded)
    identified = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if key[:1] != b"\x01" or len(key) != 33 or identified.hex() != key_id:
        raise Refused("the key is no Ed25519 verifier key")
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        _, signer, signature = line.split(" ", 2)
        raw = decode(signature)
        if signer == name and raw[:4] == identified:
            if not is_signed(key[1:], text.encode(), raw[4:]):
                raise Refused("the signature of the checkpoint is wrong")
            origin, size, root = text.split("\n")[:3]
            return origin, int(size), decode(root)
    raise Refused("the checkpoint is not signed by " + name)


def leaf_of_saga(saga: dict[str, Any]) -> bytes:
    """Return the hash of the leaf of the newest event."""
    previous, hash_ = "-", b""
    for version, event in enumerate(saga["events"], 1):
        if {name: type(value) for name, value in event.items()} != MEMBERS:
            raise Refused("an event has other members than those that are proved")
        if event["version"] != version:
            raise Refused("an event of the saga is missing")
        salt = decode(event["salt"])
        if len(salt) != 32:
            raise Refused("a salt has 32 bytes")
        committed = hmac.digest(salt, event["payload"].encode(), "sha256")
        leaf = "\n".join(
            [
                "saga-event/v1",
                f"{event['shard']} {event['seq']} {event['epoch']}",
                f"{saga['saga_id']} {version}",
                f"{event['type']} {event['schema_version']}",
                event["recorded_at"],
                base64.b64encode(committed).decode(),
                previous,
                "",
            ]
        )
        hash_ = hashlib.sha256(b"\0" + leaf.encode()).digest()
        previous = base64.b64encode(hash_).decode()
    if not hash_:
        raise Refused("there are no events")
    return hash_


def root_of(hash_: bytes, index: int, size: int, siblings: list[bytes]) -> bytes:
    """Return the root of the tree to which the siblings lead (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Refused("the tree has no such leaf")
    node, last = index, size - 1
    for sibling in siblings:
        if last == 0:
            raise Refused("the proof has too many hashes")
        if node % 2 or node == last:
            hash_ = hashlib.sha256(b"\1" + sibling + hash_).digest()
            while node and not node % 2:
                node, last = node // 2, last // 2
        else:
            hash_ = hashlib.sha256(b"\1" + hash_ + sibling).digest()
        node, last = node // 2, last // 2
    if last:
        raise Refused("the proof has too few hashes")
    return hash_


def is_signed(key: bytes, text: bytes, signature: bytes) -> bool:
    """Return whether the Ed25519 key has signed the text (RFC 8032, section 5.1.7)."""
    public, commitment = point(key), point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if public is None or commitment is None or len(signature) != 64 or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + key + text).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    base = point(BASE_Y.to_bytes(32, "little"))
    assert base is not None
    left, right = times(scalar, base), add(commitment, times(challenge, public))
    return all((left[i] * right[2] - right[i] * left[2]) % PRIME == 0 for i in (0, 1))


def point(data: bytes) -> Point | None:
    """Return a point of the curve, or None if the bytes are none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if len(data) != 32 or y >= PRIME:
        return None
    square = (y * y - 1) * pow(CURVE * y * y + 1, PRIME - 2, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * ROOT_OF_MINUS_1 % PRIME
    if (x * x - square) % PRIME or (x == 0 and sign):
        return None
    if x % 2 != sign:
        x = PRIME - x
    return x, y, 1, x * y % PRIME


def add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % PRIME
    b = (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c, d = 2 * p[3] * q[3] * CURVE % PRIME, 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def times(scalar: int, p: Point) -> Point:
    result = NEUTRAL
    while scalar:
        if scalar & 1:
            result = add(result, p)
        p, scalar = add(p, p), scalar >> 1
    return result


def after(prefix: str, line: str) -> str:
    if not line.startswith(prefix):
        raise Refused("a line does not begin with " + prefix)
    return line[len(prefix) :]


def decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    origin, key, path = arguments
    with open(path, encoding="utf-8", newline="") as file:
        receipt = file.read()
    try:
        saga_id, events, size = verify(origin, key, receipt)
    except (Refused, ValueError, LookupError, TypeError) as error:
        print("refused:", error, file=sys.stderr)
        return 1
    for event in events:
        print(json.dumps(event))
    print(
        f"proved: events 1 to {len(events)} of saga {saga_id}, in the log {origin}"
        f" when it had {size} events",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
