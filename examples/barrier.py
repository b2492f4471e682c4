"""What makes a participant safe to call twice, too late, or for nothing.

A saga's calls come over a network that loses, repeats and reorders. Three rules answer that:

* Repeat: a key that has been answered gets the same answer again, and no second effect. The same
  key with another request is a mistake of the caller and is told so.
* Empty compensation: undoing an action that never arrived is no error. It is remembered that the
  action was undone.
* Hanging action: an action that arrives after it was undone would stay for ever, since nobody will
  undo it again. It is refused.

An action is remembered as undone under its key, `<saga>/<step>/action`. It is known from the
headers Saga-Id and Saga-Step of the compensation, or is named in the compensation's body. A call
without a key and without these headers (a person with curl) is simply done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus

from pydantic import ValidationError

from .call import Answer, Call, JsonObject, refusal
from .ledger import Transaction

MAX_KEPT_CALLS = 1000  # the newest ones, for whoever asks what was called

Perform = Callable[[Transaction, Call], Answer]


def perform_action(book: Transaction, call: Call, perform: Perform) -> Answer:
    """Perform an action, unless it was performed or undone before."""

    def unless_undone(book: Transaction, call: Call) -> Answer:
        return refuse_if_undone(book, call) or perform(book, call)

    return perform_once(book, call, unless_undone)


def perform_compensation(book: Transaction, call: Call, perform: Perform) -> Answer:
    """Perform a compensation; from now on the action it belongs to is refused."""

    def and_remember(book: Transaction, call: Call) -> Answer:
        remember_undone(book, call.action_key)
        return perform(book, call)

    return perform_once(book, call, and_remember)


def remember_undone(book: Transaction, action_key: str | None) -> None:
    if action_key is not None:
        book.row("remember_undone", action_key=action_key)


def recent_calls(book: Transaction) -> list[JsonObject]:
    """The newest calls, oldest first."""
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
    """One line: where, and what is wrong there."""
    return "; ".join(
        f"{'.'.join(map(str, finding['loc'])) or 'body'}: {finding['msg']}"
        for finding in error.errors(include_url=False, include_context=False, include_input=False)
    )
