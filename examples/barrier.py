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

from .call import Answer, Call, JsonObject, refused
from .ledger import Book

KEPT_CALLS = 1000  # the newest ones, for whoever asks what was called

Perform = Callable[[Book, Call], Answer]


def act(book: Book, call: Call, perform: Perform) -> Answer:
    """Perform an action, unless it was performed or undone before."""

    def unless_undone(book: Book, call: Call) -> Answer:
        return hanging(book, call) or perform(book, call)

    return once(book, call, unless_undone)


def undo(book: Book, call: Call, perform: Perform) -> Answer:
    """Perform a compensation; from now on the action it belongs to is refused."""

    def and_remember(book: Book, call: Call) -> Answer:
        remember_undone(book, call.action_key)
        return perform(book, call)

    return once(book, call, and_remember)


def remember_undone(book: Book, action_key: str | None) -> None:
    if action_key is not None:
        book.row("remember_undone", action_key=action_key)


def calls(book: Book) -> list[JsonObject]:
    """The newest calls, oldest first."""
    rows = book.rows("list_calls", limit=KEPT_CALLS)
    return [dict(row) | {"replayed": bool(row["replayed"])} for row in rows]


def once(book: Book, call: Call, perform: Perform) -> Answer:
    answer = earlier_answer(book, call)
    if answer is None:
        answer = performed(book, call, perform)
        keep(book, call, answer)
    record(book, call, answer)
    return answer


def earlier_answer(book: Book, call: Call) -> Answer | None:
    row = book.row("find_answer", key=call.key)
    if row is None:
        return None
    if row["fingerprint"] != call.fingerprint:
        detail = f"the key {call.key} was used for another request"
        return refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return Answer(row["status"], json.loads(row["body"]), replayed=True)


def performed(book: Book, call: Call, perform: Perform) -> Answer:
    try:
        return perform(book, call)
    except ValidationError as error:
        return refused(HTTPStatus.UNPROCESSABLE_ENTITY, findings(error))


def hanging(book: Book, call: Call) -> Answer | None:
    row = book.row("find_undone", key=call.key, action_key=call.action_key)
    if row is None:
        return None
    return refused(HTTPStatus.CONFLICT, f"{row['action_key']} was compensated before it arrived")


def keep(book: Book, call: Call, answer: Answer) -> None:
    if call.key is not None and answer.is_kept:
        book.row(
            "keep_answer",
            key=call.key,
            fingerprint=call.fingerprint,
            status=answer.status,
            body=json.dumps(answer.body),
        )


def record(book: Book, call: Call, answer: Answer) -> None:
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
    book.row("forget_old_calls", kept=KEPT_CALLS)


def findings(error: ValidationError) -> str:
    """One line: where, and what is wrong there."""
    return "; ".join(
        f"{'.'.join(map(str, finding['loc'])) or 'body'}: {finding['msg']}"
        for finding in error.errors(include_url=False, include_context=False, include_input=False)
    )
