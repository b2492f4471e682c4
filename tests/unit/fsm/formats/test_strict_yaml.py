from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.formats.strict_json import Json, serialize
from saga_orchestrator.fsm.formats.strict_yaml import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    InvalidYaml,
    parse_yaml,
)
from saga_orchestrator.fsm.testing.strategies import numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-03-01", "2026-03-01"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("=", "="),
        ("0", 0),
        ("-0.5", -0.5),
        ("'012'", "012"),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("True", True),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: Json) -> None:
    assert parse_yaml(f"a: {text}") == {"a": value}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x 1\nb: *x", "aliases are not read"),
        ("a: &x {b: 1}", "aliases are not read"),
        ("- *x", "aliases are not read"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' is there twice"),
        ("a: {b: 1, b: 1}", "'b' is there twice"),
        ("a: !!python/object:os.system x", "tags are not read"),
        ("a: !!str 5", "tags are not read"),
        ("1: 2", "a key is not text"),
        ("null: 2", "a key is not text"),
        ("? [a]\n: 1", "a key is not text"),
        ("a: 012", "line 1, column 4: a number begins with 0 and would lose it: put 012 in quotes"),
        ("a: [1, -007]", "line 1, column 8: a number begins with - and would lose it: put -007"),
        ("a: 00.5", "put 00.5 in quotes"),
        (
            "a: +4915112345",
            r"a number begins with \+ and would lose it: put \+4915112345 in quotes",
        ),
        (
            "a: {path: /a/${input.a}}",
            r"a , or } is missing before this: .*a text with \$\{...\}, .* in quotes",
        ),
        ("1\n---\n2", "there is a second document"),
        ("a: {b: [1, 2", "line 1, column 13: a , or . is missing before this"),
        ("\ta: 1", "line 1, column 1: a tab is no indentation"),
        ("a: 1e999", "more than 400 digits"),
        ("a: 1e9999999999999999999", "InvalidOperation"),
        ("a: " + "9" * 401, "more than 400 digits"),
        ('a: "\\0"', "U\\+0000"),
        ("a: " + "9" * 5000, "limit"),
        ("a: '\ud800'", "a character that YAML does not have"),
        ("[" * (MAX_DEPTH + 1), f"deeper than {MAX_DEPTH}"),
        ("a: " + "x" * MAX_DOCUMENT_BYTES, "larger than"),
    ],
)
def test_surprising_yaml_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidYaml, match=why):
        parse_yaml(text)


def test_alias_bomb_is_refused_fast() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]

    with pytest.raises(InvalidYaml, match="aliases are not read"):
        parse_yaml("\n".join(lines))


def test_merge_key_is_an_ordinary_key() -> None:
    assert parse_yaml("<<: {a: 1}\nb: 2") == {"<<": {"a": 1}, "b": 2}


def test_depth_up_to_the_limit_is_read() -> None:
    assert parse_yaml("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)) is not None


@given(
    st.recursive(
        st.none() | st.booleans() | numbers,
        lambda inner: st.lists(inner) | st.dictionaries(st.text("a b:'#-", max_size=5), inner),
        max_leaves=8,
    )
)
def test_json_is_yaml(value: Json) -> None:
    assert parse_yaml(serialize(value).decode()) == value


@given(st.text(max_size=80) | st.text("{}[]:,-?!&*%|>'\"#@` \n\ta1~.e+", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(InvalidYaml):
        parse_yaml(text)
