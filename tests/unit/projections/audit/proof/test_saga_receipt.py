"""Receipts of sagas, verified by the service and by the one-file verifier, which share no code."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from saga_orchestrator.eventstore import EMPTY_HEAD, Head, RecordedEvent
from saga_orchestrator.eventstore.hash_chain import chain_events
from saga_orchestrator.projections.audit.proof import verify
from saga_orchestrator.projections.audit.proof.checkpoint import Checkpoint
from saga_orchestrator.projections.audit.proof.inclusion_receipt import (
    InclusionReceipt,
    InvalidReceipt,
)
from saga_orchestrator.projections.audit.proof.leaf import (
    commitment,
    hash_of_leaf,
    leaf_text,
    salt,
)
from saga_orchestrator.projections.audit.proof.merkle_tree import inclusion_proof, leaf_hash
from saga_orchestrator.projections.audit.proof.saga_receipt import (
    newest_leaf,
    saga_receipt,
    verify_saga_receipt,
)
from saga_orchestrator.projections.audit.proof.signed_note import Ed25519Signer, sign
from saga_orchestrator.projections.audit.proof.tiles import TiledTree, node_of
from saga_orchestrator.tests.support.event_builders import make_event, make_stream_id

SECRET: Final = b"kept"
SIGNER: Final = Ed25519Signer("example.org/sagas", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
KEY: Final = str(SIGNER.verifier)
SIZE, INDEX = 1000, 700
Verify = Callable[[str, str], list[Any]]


def saga_events() -> list[RecordedEvent]:
    first = chain_events(EMPTY_HEAD, 3, make_stream_id(1), 0, [make_event("A"), make_event("B")])
    head = Head(first[-1].seq + 5, 2, first[-1].hash)
    return [*first, *chain_events(head, 3, make_stream_id(1), 2, [make_event("C")])]


def receipt_of(events: list[RecordedEvent], origin: str = SIGNER.name) -> str:
    """Return the receipt of a saga whose newest leaf is in a tree of a thousand leaves."""
    salts = [salt(SECRET, event.shard_id, event.seq) for event in events]
    leaves = [leaf_hash(b"%d" % index) for index in range(SIZE)]
    leaves[INDEX] = newest_leaf(events, salts)
    tree = TiledTree()
    tiles = tree.extend(leaves)
    note = str(sign(str(Checkpoint(origin, SIZE, tree.root())), [SIGNER]))
    return saga_receipt(events, salts, INDEX, inclusion_proof(INDEX, SIZE, node_of(tiles)), note)


def by_the_service(key: str, receipt: str) -> list[Any]:
    assert key == KEY
    return [*verify_saga_receipt(receipt, SIGNER.name, [SIGNER.verifier]).events]


def by_the_file(key: str, receipt: str) -> list[Any]:
    return verify.verify(SIGNER.name, key, receipt)[1]


VERIFIERS: Final[dict[str, tuple[Verify, type[Exception] | tuple[type[Exception], ...]]]] = {
    "service": (by_the_service, InvalidReceipt),
    "one file": (by_the_file, (verify.Refused, ValueError, LookupError, TypeError)),
}
RECEIPT: Final = receipt_of(saga_events())


def changed_saga(change: Callable[[dict[str, Any]], object]) -> str:
    receipt = InclusionReceipt.parse(RECEIPT)
    saga = json.loads(receipt.extra or b"")
    change(saga)
    extra = json.dumps(saga).encode()
    return str(InclusionReceipt(receipt.index, receipt.proof, receipt.checkpoint, extra))


def member(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda saga: saga["events"][0].update({name: value})


def other_saga(saga: dict[str, Any]) -> None:
    saga["saga_id"] = make_stream_id(2)


def move_into_salt(saga: dict[str, Any]) -> None:
    event = saga["events"][0]
    moved, event["payload"] = event["payload"][:1], event["payload"][1:]
    event["salt"] = b64encode(b64decode(event["salt"]) + moved.encode()).decode()


RECORDED_AT: Final = json.loads(InclusionReceipt.parse(RECEIPT).extra or b"")["events"][0][
    "recorded_at"
]
LATER_ZONE: Final = (
    (datetime.fromisoformat(RECORDED_AT) + timedelta(hours=1))
    .isoformat(timespec="microseconds")
    .replace("+00:00", "+01:00")
)
OTHER_SALT: Final = b64encode(b"x" * 32).decode()
FORGERIES: Final = {
    "another saga": changed_saga(other_saga),
    "a payload": changed_saga(member("payload", '{"amount":1}')),
    "a salt": changed_saga(member("salt", OTHER_SALT)),
    "a type": changed_saga(member("type", "Z")),
    "a schema version": changed_saga(member("schema_version", 9)),
    "a time": changed_saga(member("recorded_at", "2026-01-01T00:00:00.000000Z")),
    "a seq": changed_saga(member("seq", 99)),
    "a shard": changed_saga(member("shard", 4)),
    "an epoch": changed_saga(member("epoch", 9)),
    "a version": changed_saga(member("version", 2)),
    "the first event left out": changed_saga(lambda saga: saga["events"].pop(0)),
    "an event left out": changed_saga(lambda saga: saga["events"].pop(1)),
    "the newest event left out": changed_saga(lambda saga: saga["events"].pop()),
    "no events": changed_saga(lambda saga: saga["events"].clear()),
    "a member that is not proved": changed_saga(member("actor", "ceo")),
    "a saga's member that is not proved": changed_saga(lambda saga: saga.update(amount=1)),
    "a member left out": changed_saga(lambda saga: saga["events"][0].pop("salt")),
    "a number as a text": changed_saga(member("shard", "3")),
    "a number as a truth value": changed_saga(member("version", True)),
    "a time in another zone": changed_saga(member("recorded_at", LATER_ZONE)),
    "a time without a zone": changed_saga(member("recorded_at", RECORDED_AT.rstrip("Z"))),
    "a part of the payload in the salt": changed_saga(move_into_salt),
    "the tree of another log": receipt_of(saga_events(), "evil.example/other-log"),
    "events swapped": changed_saga(lambda saga: saga["events"].reverse()),
    "the index": RECEIPT.replace(f"index {INDEX}\n", f"index {INDEX + 1}\n"),
    "an index outside": RECEIPT.replace(f"index {INDEX}\n", f"index {SIZE}\n"),
    "the size": RECEIPT.replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n"),
    "the origin": RECEIPT.replace("\nexample.org/sagas\n", "\nexample.org/sages\n"),
    "a sibling left out": RECEIPT.replace("\n" + RECEIPT.split("\n")[3], "", 1),
    "a sibling too many": RECEIPT.replace("\n\n", "\n" + RECEIPT.split("\n")[3] + "\n\n", 1),
    "the name of the signer": RECEIPT.replace("— example.org/sagas", "— example.org/sages"),
    "no signature": RECEIPT.partition("\n— ")[0] + "\n",
    "no saga": "c2sp.org/tlog-proof@v1\n" + RECEIPT.split("\n", 2)[2],
    "nothing": "",
}


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_receipt_proves_the_events_of_the_saga(verifier: str) -> None:
    check, _ = VERIFIERS[verifier]

    assert len(check(KEY, RECEIPT)) == 3


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_changed_receipt_is_refused(forgery: str, verifier: str) -> None:
    check, refusal = VERIFIERS[verifier]

    assert FORGERIES[forgery] != RECEIPT
    with pytest.raises(refusal):
        check(KEY, FORGERIES[forgery])


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_signature_with_any_byte_changed_is_refused(verifier: str) -> None:
    check, refusal = VERIFIERS[verifier]
    before, _, line = RECEIPT.rpartition(" ")
    raw = b64decode(line)

    for at in range(4, len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(refusal):
            check(KEY, f"{before} {b64encode(changed).decode()}\n")


def test_events_in_a_receipt_are_as_they_were_recorded() -> None:
    events = saga_events()

    verified = verify_saga_receipt(RECEIPT, SIGNER.name, [SIGNER.verifier])

    assert [event[:9] for event in verified.events] == [event[:9] for event in events]
    assert (verified.checkpoint.size, verified.signers) == (SIZE, [SIGNER.name])


def test_newest_leaf_follows_from_the_leaves_before_it() -> None:
    first, second, _ = saga_events()
    salts = [salt(SECRET, event.shard_id, event.seq) for event in (first, second)]

    leaf = hash_of_leaf(leaf_text(first, commitment(salts[0], first.payload), None))
    expected = hash_of_leaf(leaf_text(second, commitment(salts[1], second.payload), leaf))

    assert newest_leaf([first, second], salts) == expected


def test_one_file_verifier_runs_alone_with_the_standard_library(tmp_path: Path) -> None:
    receipt, program = tmp_path / "saga.tlog-proof", tmp_path / "verify.py"
    receipt.write_text(RECEIPT)
    program.write_bytes(Path(verify.__file__).read_bytes())

    def run(receipt: Path) -> subprocess.CompletedProcess[str]:
        # -I -S: without the packages that are installed, and without this folder.
        command = [sys.executable, "-I", "-S", str(program), SIGNER.name, KEY, str(receipt)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    proved = run(receipt)
    receipt.write_text(FORGERIES["a payload"])
    refused = run(receipt)

    assert (proved.returncode, len(proved.stdout.splitlines())) == (0, 3)
    assert f"events 1 to 3 of saga {make_stream_id(1)}" in proved.stderr
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the events are not those of the tree" in refused.stderr
