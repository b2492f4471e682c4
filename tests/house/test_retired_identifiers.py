"""Identifiers that were replaced by a term of docs/glossary.md do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from saga_orchestrator.tests.house.tree import python_files, tree

# Of two words at least: a single one may be the right word in a sentence.
CLASS_NAME: Final = re.compile(r"\b[A-Z][a-z]+[A-Z]\w+")
# In tests a thing is called by its noun: the event, the service, the outcome.
PRIVATE: Final = {"held", "one", "told", "verdict", "world"}
# What each of them is called now. Everyday words are missing here although they had a private
# meaning once: they may be the right word elsewhere.
RETIRED: Final = {
    "a_house": "running_deployment", "a_world": "in_memory_service", "AbandonAsked": "Abandon",
    "Acknowledged": "ClientAck", "ALL_COMES_TO_REST": "SAGAS_MAKE_PROGRESS",
    "allot": "assign_shards", "Allotment": "Assignment", "answer_view": "start_result_view",
    "ANSWERED_WITHIN": "RESULT_TIMEOUT", "AnswerReader": "ResponseReader",
    "ANSWERS_ARE_KEPT": "ACKNOWLEDGEMENTS_HOLD", "answers_are_kept": "acknowledgements_hold",
    "Arrival": "QueuedWork", "Arrivals": "AppendQueue", "Asked": "BaseCommand",
    "asked_back": "compensation_requested", "AT_STAKE": "NEEDS_COMPENSATION",
    "AuditVerdict": "ChainVerdict", "await_well": "await_ready", "BEAT_EVERY": "HEARTBEAT_INTERVAL",
    "Begin": "RemoteStart", "BIGGEST_SEQ": "MAX_SEQ", "blamed": "explain_unbuildable",
    "BOUNCER": "PGBOUNCER", "break_off": "reset_connection", "Breaker": "CircuitBreaker",
    "bring_back": "restart_dead_nodes", "CallAnswered": "CallCompleted",
    "CallbackDelivered": "CompletionWebhookDelivered", "CallbackPolicy": "WebhookPolicy",
    "CallbackTold": "WebhookDelivered", "CancelAsked": "Cancel",
    "ChancyParticipants": "RandomParticipants", "ChildRefused": "ChildInstructionRefused",
    "children_are_heard": "child_results_arrive", "ChildRested": "ChildFinished",
    "CompensationAsked": "Compensate",
    "CompensationCovered": "CompensationImplied",
    "covered_by": "compensated_with", "Customers": "Clients", "DatabaseUnfit": "UnsuitableDatabase",
    "Deciding": "DecisionBuilder", "decode_question": "decode_request", "DEEPEST": "MAX_DEPTH",
    "demand_free": "require_not_driven", "Desk": "DeferringParticipant", "DOUBTS": "UNSETTLED",
    "effects_are_told": "effects_match_log", "encode_question": "encode_request",
    "ENOUGH": "TIME_LIMIT", "EventCounts": "EventMetrics", "Examination": "DoctorReport",
    "Examined": "AuditProgress", "FailingTables": "FailingStatusTable",
    "Fate": "ParticipantBehavior", "FEWEST_CONNECTIONS": "MIN_CONNECTIONS",
    "FEWEST_MOVES": "MIN_ARRIVALS_PER_CHECK", "FirstMoves": "RecoveryBarrier", "Flaw": "Breach",
    "fold_kept": "record_unrecorded", "fold_stream": "replay_stream",
    "follow_any_way": "continue_graph", "follow_backward": "continue_compensation",
    "follow_forward": "continue_forward", "follow_in_order": "continue_sequence",
    "FORGOTTEN_AFTER": "NODE_RETENTION", "FREE": "DOES_NOT_CONSUME_ATTEMPT",
    "fresh_folds": "replayed_rows", "Front": "LoadBalancer", "Frontier": "ContiguousWatermark",
    "GONE_AFTER": "UNLOCKED_HEARTBEAT_TIMEOUT", "Grounds": "AuditContext", "had_turn": "had_slot",
    "hand_over": "transfer", "Happening": "Input", "HAPPENINGS": "INPUT_KINDS",
    "HEADERS_OF_OURS": "RESERVED_HEADERS", "Hear": "OnResponse", "HeldBack": "CircuitWaker",
    "HistoryLost": "LogTruncated", "HURRIED": "CONTENDED_TIMEOUT", "InDoubt": "OutcomeUnknown",
    "InstantArray": "TimestamptzArray", "Journal": "SagaRepository", "journal_of": "repository_of",
    "JsonReply": "JsonBytesResponse", "keep_telling": "deliver_until_acknowledged",
    "kept_of": "unrecorded_changes_of", "Killer": "NodeKiller", "Kin": "RelatedSagas",
    "kind_of": "type_name", "KnownHeads": "ResponseHeadCache", "LATELY": "SAMPLE_PERIOD",
    "left_to_take_up": "still_to_recover", "live_a_while": "run_random_sagas",
    "lives_at": "current_address", "LogBusy": "Overloaded", "LOOK_AGAIN": "POLL_INTERVAL",
    "LOOK_EVERY": "CHECK_INTERVAL", "Lost": "LostPart", "MayReach": "AddressPolicy",
    "MemoryNodes": "MemoryCluster", "MessageDelivered": "ForwardedInput",
    "MessageTaken": "ForwardedInputApplied", "Misfit": "Violation", "MOST_DIRTY": "MAX_DIRTY_SAGAS",
    "MOST_ELEMENTS": "MAX_ELEMENTS", "MOST_SIGNALS": "MAX_BUFFERED_SIGNALS", "name_of": "call_name",
    "NEVER_HEARD_OF_IT": "UNKNOWN_TO_PARTICIPANT", "nobody_s": "load_no_saga",
    "NoSuchResource": "PathNotFound", "NoSuchStep": "StepNotFound",
    "NoSuchVersion": "SagaVersionNotFound", "NotDrivenHere": "NotShardOwner",
    "NotKeepable": "InvalidJson", "NotServing": "Unavailable", "NoTurn": "LookupQueueTimeout",
    "OTHERS_WITHIN": "REFRESH_TIMEOUT", "OUR_OWN_TIME": "MEASUREMENT_TOLERANCE",
    "Overtaken": "CheckpointConflict", "Owed": "PendingWebhooks",
    "OWED_FOR_LONG": "MAX_WEBHOOK_AGE", "owes_callback": "has_pending_webhook",
    "Ownership": "ShardRebalancer", "OwnServer": "PostgresServer", "Parcels": "ParcelService",
    "parse_foreign": "parse_untrusted", "participant_back": "circuit_closed",
    "ParticipantBack": "CircuitClosed", "Patience": "ConnectTimeouts",
    "PAUSE_AFTER_TROUBLE": "RETRY_DELAY", "PauseAsked": "Pause",
    "PEER_IS_GONE": "KEEPALIVE_PARAMETERS", "pivot_in_doubt": "pivot_is_uncertain",
    "pivot_passed": "pivot_succeeded", "plan_undo": "plan_compensation", "Post": "NodeMessenger",
    "prepare_again": "rebuild_call", "problem_of": "find_problem", "Promise": "Invariant",
    "rage": "inject", "read_definition": "parse_definition", "Readers": "ReaderPool",
    "record_kept": "record_unrecorded", "refuse_errors": "reject_verifier_errors",
    "Regret": "OperatorCommand", "regret": "operator_command", "REGRETS": "OPERATOR_COMMANDS",
    "Relay": "RecordingProxy", "Remark": "OptionalReason", "REMEMBERED_FOR": "REFUSAL_RETENTION",
    "ReplyReader": "ResponseParser", "ResolveAsked": "ResolveStep",
    "rest_is_told": "rest_report_is_true", "restore_definition": "parse_unverified_definition",
    "ResumeAsked": "Resume", "RetryAsked": "Retry", "Roster": "ClusterView",
    "ROWS_A_STATEMENT": "MAX_ROWS_PER_STATEMENT", "RuntimeRefusal": "OrchestratorError",
    "SagaFellDue": "ScheduledStartReached", "seen_call": "recorded_call", "SeenCall": "LedgerEntry",
    "SharedAlarm": "TimeoutQueue", "Shortcut": "CompiledExpression", "shortened": "with_path_nodes",
    "SHORTEST_SECRET": "MIN_SECRET_CHARACTERS", "SignalSent": "SendSignal",
    "SILENT_FOR": "SILENT_HOST_PENALTY", "skip_to_next_wake_up": "advance_to_next_wakeup",
    "SkipAsked": "SkipStep", "SPOILT": "DAMAGES", "Stakes": "EffectTracker",
    "start_soon": "submit_start", "StartRequested": "StartSaga", "StatusAsked": "StatusQueried",
    "step_by_age": "flush_due", "StepFoundNotDone": "StepConfirmedNotExecuted",
    "StepReported": "StepCallback", "StuckTables": "BlockingStatusTable", "Suffering": "Injection",
    "take_any": "accept_all", "take_over": "next_epoch_rows", "Teller": "DemoClient",
    "Terms": "ParticipantSettings", "TimePassed": "TimerFired",
    "told_at_signal": "on_termination_signal", "told_version": "notified_version",
    "Town": "ChaosDeployment", "Traffic": "ParticipantCalls", "turn_back": "start_compensation",
    "turn_of": "creation_lock", "turn_round": "compensate", "TURN_TIMEOUT": "ACQUIRE_TIMEOUT",
    "Turns": "FairSemaphore", "Unaddressed": "MissingUrls",
    "undo_child": "build_child_compensation", "undo_has_a_cause": "compensation_has_a_cause",
    "undo_runs_backwards": "compensation_runs_backwards",
    "undo_settles_first": "calls_settle_before_compensation", "UndoChild": "CompensateChild",
    "UndoFact": "CompensationFact", "UndoPlan": "CompensationPlan", "Unfinished": "UnfinishedSaga",
    "Unfolded": "ShardLag", "UnknownBulkJob": "BulkJobNotFound",
    "UnknownCoding": "UnsupportedTransferCoding", "UnknownSagaType": "SagaTypeNotFound",
    "Unmade": "UnbuildableCall", "UNTOLD_FROM": "POLLS_RECORDED_EACH",
    "Unusual": "NeedsInterpreter", "USUAL": "DEFAULTS", "Verb": "OperatorCommand",
    "VersionMoved": "VersionConflict", "VitalSigns": "HealthCheck", "wake_up": "next_wakeup",
    "WakeUps": "SagaWaker", "was_left": "was_deferred", "WHY_NOT": "REFUSAL_REASONS",
    "why_not": "refusal_reason", "Wish": "PlannedOrder", "with_kept": "with_unrecorded_changes",
    "Within": "SharedTimeout", "Workroom": "WorkerThread",
}  # fmt: skip


def test_no_retired_identifier_is_defined() -> None:
    defined = [
        f"{file}:{line}: {name} is {RETIRED[name]} now"
        for file in python_files()
        for name, line in defined_names(tree(file))
        if name in RETIRED
    ]

    assert defined == []


def test_no_docstring_names_a_retired_class() -> None:
    named = [
        f"{file}:{line}: {name} is {RETIRED[name]} now"
        for file in python_files()
        for docstring, line in docstrings(tree(file))
        for name in CLASS_NAME.findall(docstring)
        if name in RETIRED
    ]

    assert named == []


def test_no_test_calls_a_thing_by_a_private_word() -> None:
    named = [
        f"{file}:{line}: {name}"
        for file in python_files("tests")
        for name, line in defined_names(tree(file))
        if name in PRIVATE
    ]

    assert named == []


def docstrings(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield docstrings with the lines of what they describe."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or "", node.lineno
    yield ast.get_docstring(module) or "", 1


def defined_names(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield classes, functions, parameters, variables and attributes with their lines."""
    for node in ast.walk(module):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name, node.lineno
            case ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
