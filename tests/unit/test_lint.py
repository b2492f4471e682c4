"""`saga definitions lint` on files."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator import cli


def child(file: Path, name: str, of: str) -> str:
    file.write_text(f"saga: {name}\nversion: 1\nsteps: [{{name: next, saga: {{type: {of}}}}}]\n")
    return str(file)


def test_files_that_are_linted_together_know_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ping = child(tmp_path / "ping.yaml", "ping", of="pong")
    pong = child(tmp_path / "pong.yaml", "pong", of="ping")

    assert cli.main(["definitions", "lint", ping]) == 0
    assert cli.main(["definitions", "lint", ping, pong]) == 10

    printed = capsys.readouterr()
    assert printed.err.splitlines() == ["1 definition, 0 errors", "2 definitions, 2 errors"]
    assert [line.partition(": error: ")[0] for line in printed.out.splitlines()] == [
        f"{ping}:3:/steps/0/saga/type",
        f"{pong}:3:/steps/0/saga/type",
    ]


WRONG = """saga: trip
version: 1
steps:
  - name: book
    participant: hotel
    action:
      path: /rooms
      body: {paid: "${!input.paid}"}
    compensation:
      metod: DELETE
"""


def test_a_finding_has_its_line_and_what_is_missing_that_of_what_is_around_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text(WRONG)
    cli.main(["definitions", "lint", str(file)])
    file.write_text(WRONG.replace("metod: DELETE", "path: /undo"))
    cli.main(["definitions", "lint", str(file)])

    places = [line.partition(": error: ")[0] for line in capsys.readouterr().out.splitlines()]
    assert places == [
        f"{file}:9:/steps/0/compensation/path",
        f"{file}:10:/steps/0/compensation/metod",
        f"{file}:8:/steps/0/action/body/paid",
    ]


@pytest.mark.parametrize(("text", "line"), [("a: [1\n", 2), ("a: 1\nb: {a: 1\nc: 2\n", 3)])
def test_a_file_that_is_no_yaml_has_its_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int
) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text(text)

    assert cli.main(["definitions", "lint", str(file)]) == 10
    assert capsys.readouterr().out.startswith(f"{file}: error: line {line}, column ")


def test_a_finding_of_the_whole_has_no_pointer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text("[]")
    cli.main(["definitions", "lint", str(file)])

    assert capsys.readouterr().out.startswith(f"{file}:1: error: must be an object ")


@pytest.mark.parametrize(
    ("name", "content", "place", "detail"),
    [
        ("trip.yaml", b"", ":1", "must be an object [wrong-type]"),
        ("trip.yaml", b"# later\n", ":1", "must be an object [wrong-type]"),
        ("trip.yaml", b"null\n", ":1", "must be an object [wrong-type]"),
        ("trip.yaml", b"---\n", ":2", "must be an object [wrong-type]"),
        (
            "trip.yaml",
            b"\x7fELF\x00",
            "",
            "it holds a character that YAML does not have [unreadable]",
        ),
        ("trip.yaml", b"a: 1\nb: \xff", "", "it is not UTF-8 text (byte 4 of line 2) [unreadable]"),
        ("trip.yaml", None, "", "it is a folder: name a file [unreadable]"),
        ("trip.json", b"", "", "it is empty [unreadable]"),
        ("trip.json", b'{"saga": "trip",}', "", "trailing comma in object at byte 16 [unreadable]"),
        ("trip.json", b"saga: trip", "", "invalid character at byte 0 [unreadable]"),
        ("trip.json", b"[\n\t1]", ":1", "must be an object [wrong-type]"),
        ("trip.JSON", b'{"a": 1, "a": 2}', "", 'the member "a" is there twice [unreadable]'),
    ],
)
def test_odd_files_are_described_in_plain_words_and_the_others_are_checked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    place: str,
    detail: str,
) -> None:
    ping = child(tmp_path / "ping.yaml", "ping", of="ping")
    file = tmp_path / name
    file.mkdir() if content is None else file.write_bytes(content)

    assert cli.main(["definitions", "lint", str(file), str(tmp_path / "none"), ping]) == 10

    odd, none, other = capsys.readouterr().out.splitlines()
    assert odd == f"{file}{place}: error: {detail}"
    assert none == f"{tmp_path / 'none'}: error: there is no such file [unreadable]"
    assert other.endswith("[endless-children]")


@given(
    content=st.binary(max_size=40) | st.text('#{}[]:, -\n\tnul"\\0', max_size=20).map(str.encode)
)
def test_any_file_is_reported_without_the_notation_of_python(content: bytes) -> None:
    said = StringIO()
    with TemporaryDirectory() as folder, redirect_stdout(said), redirect_stderr(StringIO()):
        files = [Path(folder, "odd.yaml"), Path(folder, "odd.json")]
        for file in files:
            file.write_bytes(content)
        assert cli.main(["definitions", "lint", *map(str, files)]) == 10

    lines = said.getvalue().splitlines()
    assert [any(str(file) in line for line in lines) for file in files] == [True, True]
    assert not [line for line in lines if "codec" in line or "Errno" in line or "object at" in line]


def test_participants_without_a_url_are_named_if_the_environment_gives_urls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAGA_PARTICIPANTS_FILE", raising=False)
    file, listed = tmp_path / "trip.yaml", tmp_path / "participants.yaml"
    action = "action: {path: /x}, effect: none"
    steps = ", ".join(
        f"{{name: {name}, participant: {name}-service, {action}}}" for name in ("hotel", "rail")
    )
    file.write_text(f"saga: trip\nversion: 1\nsteps: [{steps}]\n")

    def unknown_participants() -> list[str]:
        assert cli.main(["definitions", "lint", str(file)]) == 0
        lines = capsys.readouterr().out.splitlines()
        return [line for line in lines if "unknown-participant" in line]

    assert unknown_participants() == []
    monkeypatch.setenv("HOTEL_SERVICE_URL", "http://127.0.0.1:9000")
    (rail,) = unknown_participants()
    assert "/steps/1/participant: warning: " in rail
    assert "RAIL_SERVICE_URL" in rail
    listed.write_text("rail-service: {url: 'http://rail', headers: {a: {secret: NOT_SET}}}")
    monkeypatch.setenv("SAGA_PARTICIPANTS_FILE", str(listed))
    assert unknown_participants() == []
    listed.write_bytes(b"rail-service: \xff")
    assert cli.main(["definitions", "lint", str(file)]) == 2
    assert capsys.readouterr().err == (
        f"saga: SAGA_PARTICIPANTS_FILE: {listed} is refused:"
        " it is not UTF-8 text (byte 15 of line 1)\n"
    )
