"""The barrier: makes a participant safe against calls that are repeated, empty or late.

A saga's calls come over a network that loses, repeats and reorders messages. Three rules handle
that (DTM calls such a component a barrier):

* Repeated call: a key that has been answered gets the same answer again, and no second effect. The
  same key with another request is an error of the caller and is refused.
* Empty compensation: compensating an action that never arrived is no error. The action is recorded
  as compensated.
* Hanging action: an action that arrives after its compensation would never be compensated again.
  It is refused.

An action is recorded as compensated under its key, `<saga>/<step>/action`. The key follows from the
headers Saga-Id and Saga-Step of the compensation, or is part of the compensation's path. A call
without a key and without these headers, such as a person's with curl, is performed as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus

from pydantic import ValidationError

from .call import Answer, Call, JsonObject, refusal
from .ledger import Transaction

MAX_KEPT_CALLS = 1000  # the newest calls, which GET /calls shows

Perform = Callable[[Transaction, Call], Answer]


def perform_action(book: Transaction, call: Call, perform: Perform) -> Answer:
    """Perform an action, unless it has been performed or compensated before."""

    def unless_undone(book: Transaction, call: Call) -> Answer:
        return refuse_if_undone(book, call) or perform(book, call)

    return perform_once(book, call, unless_undone)


def perform_compensation(book: Transaction, call: Call, perform: Perform) -> Answer:
    """Perform a compensation; from now on its action is refused."""

    def and_remember(book: Transaction, call: Call) -> Answer:
        remember_undone(book, call.action_key)
        return perform(book, call)

    return perform_once(book, call, and_remember)


def remember_undone(book: Transaction, action_key: str | None) -> None:
    if action_key is not None:
        book.row("remember_undone", action_key=action_key)


def recent_calls(book: Transaction) -> list[JsonObject]:
    """Return the newest calls, the oldest of them first."""
    rows = book.rows("list_calls", limit=MAX_KEPT_CALLS)
    return [dict(row) | {"replayed": bool(row["replayed"])} for row in rows]


def perform_once(book: Transaction, call: Call, perform: Perform) -> Answer:
    answer = earlier_answer(book, call)
    if answer is None:
        answer = perform_validated(book, call, perform)
        keep_answer(book, call, answer)
    record_call(book, call, answer)
    return answer


def earlier_answer(book: Transaction, call: Call) -> Answer | None:
    row = book.row("find_answer", key=call.key)
    if row is None:
        return None
    if row["fingerprint"] != call.fingerprint:
        detail = f"the key {call.key} was used for another request"
        return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return Answer(row["status"], json.loads(row["body"]), replayed=True)


def perform_validated(book: Transaction, call: Call, perform: Perform) -> Answer:
    try:
        return perform(book, call)
    except ValidationError as error:
        return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, describe_errors(error))


def refuse_if_undone(book: Transaction, call: Call) -> Answer | None:
    row = book.row("find_undone", key=call.key, action_key=call.action_key)
    if row is None:
        return None
    return refusal(HTTPStatus.CONFLICT, f"{row['action_key']} was compensated before it arrived")


def keep_answer(book: Transaction, call: Call, answer: Answer) -> None:
    if call.key is not None and answer.is_kept:
        book.row(
            "keep_answer",
            key=call.key,
            fingerprint=call.fingerprint,
            status=answer.status,
            body=json.dumps(answer.body),
        )


def record_call(book: Transaction, call: Call, answer: Answer) -> None:
    book.row(
        "record_call",
        method=call.method,
        path=call.path,
        key=call.key,
        saga_id=call.saga_id,
        step=call.step,
        attempt=call.attempt,
        status=answer.status,
        replayed=answer.replayed,
    )
    book.row("forget_old_calls", kept=MAX_KEPT_CALLS)


def describe_errors(error: ValidationError) -> str:
    """Describe validation errors in one line, each with its place."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )
