"""Count the files, calls and moves between files of one warm start; measure how the source is cut.

    python benchmarks/moves_of_one_start.py [--rounds N] [--json FILE]

The service runs as `saga serve` does, in a process of its own, on an embedded PostgreSQL. After
some starts to warm it up, a profile function (`sys.setprofile`) is set around one
`POST /sagas/start` of the three-step order, from before the request is sent until its response has
arrived. Of several rounds the one with the fewest calls counts: others contain a heartbeat or a
timer.

    file     a Python file of this project of which a function was called
    call     a call of such a function; the resumption of a coroutine is a call
    move     a call in another file than the call before it

The source is measured without tests, benchmarks and examples. What is measured is the installed
package, so another version is measured by the Python of its own virtual environment. Linux only.
"""

from __future__ import annotations

import argparse
import ast
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import FrameType

import saga_orchestrator

ROOT = Path(saga_orchestrator.__file__).parent
START, STOP = signal.SIGUSR1, signal.SIGUSR2
START_SECONDS = 60
WARM_UP_STARTS = 200
PROJECTED_SECONDS = 0.3  # the saga before is in the status table after that
NOT_MEASURED = ("tests", "benchmarks", "examples", "build", "fsm/testing")
STEP_DATA = [{"total_amount": 42.5}, {"amount": 42.5}, {}]
ORDER = {"saga_type": "order_processing", "entity_id": 4711, "step_data": STEP_DATA}
OUTPUT = b'{"order_id": 7, "payment_id": 8, "status": "PAID"}'
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(OUTPUT),
    OUTPUT,
)


@dataclass(slots=True)
class Trace:
    """What was executed between two signals, in the order in which it was called."""

    files: list[str] = field(default_factory=list)

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and (file := _project_file(frame.f_code.co_filename)):
            self.files.append(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFigures:
    files: int
    calls: int
    moves: int
    files_by_room: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigures:
    modules: int
    lines: int
    median_lines: float
    modules_up_to_40_lines: int
    import_percent: float
    modules_with_one_importer: int
    import_circles: Sequence[Sequence[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if options.serve:
        return _serve(options.serve)
    start, source = measure_start(options.rounds), measure_source()
    print(f"one start: {start.files} files, {start.calls} calls, {start.moves} moves")
    print("  files by room:", ", ".join(f"{name} {n}" for name, n in start.files_by_room.items()))
    print(f"source: {source.modules} modules, {source.lines} lines, median {source.median_lines:g}")
    print(f"  up to 40 lines: {source.modules_up_to_40_lines}")
    print(f"  imports: {source.import_percent} % of the lines")
    print(f"  modules with one importer: {source.modules_with_one_importer}")
    print(f"  import circles: {len(source.import_circles)}")
    for circle in source.import_circles:
        print("   ", ", ".join(circle))
    if options.json:
        figures = {"start": asdict(start), "source": asdict(source)}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def measure_start(rounds: int) -> StartFigures:
    with tempfile.TemporaryDirectory(prefix="saga-moves-") as folder, _participants() as urls:
        traces = Path(folder) / "traces"
        with (
            _service(Path(folder), traces, urls) as (port, process),
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            for _ in range(WARM_UP_STARTS):
                _start_saga(client)
            rounds_of_files = [_traced_start(client, process, traces) for _ in range(rounds)]
    return _figures(min(rounds_of_files, key=len))


def _figures(files: Sequence[str]) -> StartFigures:
    rooms = Counter(str(Path(file).parent) for file in sorted(set(files)))
    return StartFigures(
        files=len(set(files)),
        calls=len(files),
        moves=sum(file != before for before, file in pairwise(files)),
        files_by_room=dict(rooms),
    )


def _traced_start(client: socket.socket, process: int, traces: Path) -> list[str]:
    traces.unlink(missing_ok=True)
    traces.with_suffix(".begun").unlink(missing_ok=True)
    time.sleep(PROJECTED_SECONDS)
    os.kill(process, START)
    _wait_for(traces.with_suffix(".begun"))
    _start_saga(client)
    os.kill(process, STOP)
    _wait_for(traces)
    files: list[str] = json.loads(traces.read_text())
    return files


def _start_saga(client: socket.socket) -> None:
    """Send the request in one piece, as load generators do, and read the response."""
    body = json.dumps(ORDER).encode()
    head = f"POST /sagas/start HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
    client.sendall(head.encode() + b"content-type: application/json\r\n\r\n" + body)
    response = http.client.HTTPResponse(client)
    response.begin()
    result = json.loads(response.read())
    assert (response.status, result["status"]) == (200, "completed"), result


def _wait_for(file: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not file.exists():
        assert time.monotonic() < end, f"{file.name} was not written"
        time.sleep(0.001)


@contextmanager
def _participants() -> Iterator[Mapping[str, str]]:
    """Run a server that accepts every call of both participants; yield their settings."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Participant)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield {"ORDER_SERVICE_URL": url, "PAYMENT_SERVICE_URL": url}
    finally:
        server.shutdown()


class _Participant(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.wfile.write(RESPONSE)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002
        """Write no access log."""


@contextmanager
def _service(
    folder: Path, traces: Path, participants: Mapping[str, str]
) -> Iterator[tuple[int, int]]:
    """Run the service on an embedded PostgreSQL of its own; yield its port and process id."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    environ = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        **participants,
        "SERVICE_PORT": str(port),
        "SAGA_DATA_DIR": str(folder / "data"),
    }
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", str(traces)]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        _wait_until_ready(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError):
            client = http.client.HTTPConnection("127.0.0.1", port)
            client.request("GET", "/readyz")
            if client.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError("the service did not become ready")


def _serve(traces: Path) -> int:
    """Run the service; a signal starts a trace, another one ends it and writes it to `traces`."""
    from saga_orchestrator import cli

    trace = Trace()

    def start(_number: int, _frame: FrameType | None) -> None:
        trace.files.clear()
        traces.with_suffix(".begun").touch()
        sys.setprofile(trace)

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.setprofile(None)
        partial_file = traces.with_suffix(".partial")
        partial_file.write_text(json.dumps(trace.files))
        partial_file.rename(traces)

    signal.signal(START, start)
    signal.signal(STOP, stop)
    return cli.main(["serve"]) or 0


def _project_file(file: str) -> str | None:
    """Return the path from the root of the project, or None for a file of a library."""
    path = Path(file)
    if not path.is_relative_to(ROOT) or ".venv" in path.parts or "benchmarks" in path.parts:
        return None
    return path.relative_to(ROOT).as_posix()


def measure_source() -> SourceFigures:
    texts = {file: (ROOT / file).read_text() for file in _source_files()}
    lines = {file: text.count("\n") for file, text in texts.items()}
    imports = {file: _imported(file, text, texts.keys()) for file, text in texts.items()}
    importers: defaultdict[str, set[str]] = defaultdict(set)
    for file, imported in imports.items():
        for other in imported:
            importers[other].add(file)
    total = sum(lines.values())
    return SourceFigures(
        modules=len(texts),
        lines=total,
        median_lines=statistics.median(lines.values()),
        modules_up_to_40_lines=sum(number <= 40 for number in lines.values()),
        import_percent=round(100 * sum(map(_import_lines, texts.values())) / total, 1),
        modules_with_one_importer=sum(len(names) == 1 for names in importers.values()),
        import_circles=[sorted(circle) for circle in _circles(imports)],
    )


def _source_files() -> list[str]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if not file.startswith((".", *(f"{folder}/" for folder in NOT_MEASURED))):
            found.append(file)
    return found


def _import_lines(text: str) -> int:
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def _imported(file: str, text: str, files: Collection[str]) -> set[str]:
    """Return the files of the project that `file` imports, also those only for their types."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        for module in _imported_modules(file, node):
            for candidate in (f"{module}.py", f"{module}/__init__.py"):
                if candidate in files:
                    found.add(candidate)
    return found - {file}


def _imported_modules(file: str, node: ast.AST) -> Iterator[str]:
    """Yield paths from the root without an ending; each name of a `from` import may be a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[2].replace(".", "/") for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        package = list(Path(file).parent.parts)
        if node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
        elif (node.module or "").split(".")[0] == "saga_orchestrator":
            base = (node.module or "").split(".")[1:]
        else:
            return
        place = "/".join(filter(None, base))
        inside = [f"{place}/{alias.name}".lstrip("/") for alias in node.names]
        modules = [module for module in inside if (ROOT / f"{module}.py").exists()]
        yield from modules
        if len(modules) < len(inside):
            yield place


def _circles(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the groups of files that import each other, directly or through one another."""
    reachable = {file: _reachable(file, imports) for file in imports}
    groups = {
        frozenset({file, *(other for other in reachable[file] if file in reachable[other])})
        for file in imports
        if file in reachable[file]
    }
    return sorted(map(set, groups), key=sorted)


def _reachable(file: str, imports: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = [*imports[file]]
    while pending:
        if (following := pending.pop()) not in found:
            found.add(following)
            pending += imports[following]
    return found


if __name__ == "__main__":
    sys.exit(main())
