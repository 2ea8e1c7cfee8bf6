"""Log lines: what others wrote neither steers the terminal that shows them nor breaks a line in two."""

import io
import json
import logging
from contextlib import redirect_stderr

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.printable import printable
from miradouro.runtime import logs
from miradouro.runtime.log_texts import LibraryLines
from miradouro.runtime.settings import LogSettings

TITLE = "\x1b]0;owned\x07"


def written(log_format: str, *values: str) -> str:
    out = io.StringIO()
    with redirect_stderr(out):
        logs.configure(LogSettings(log_format=log_format))
        for value in values:
            structlog.get_logger().warning(f"event {value}", photo_id=value, folders=[value], nested={"name": value})
            try:
                raise ValueError(value)  # noqa: TRY301 - it is the test
            except ValueError:
                structlog.get_logger().exception("failed", error=value)
    return out.getvalue()


@given(st.text())
def test_a_terminal_is_steered_by_no_value(value):
    text = written("console", value)
    assert all(one.isprintable() or one == "\n" for one in text)


def test_control_characters_of_values_are_shown_escaped():
    text = written("console", TITLE + "\nline\rline\u202eline")
    assert "photo_id=\\x1b]0;owned\\x07\\nline\\rline\\u202eline" in text
    assert "Traceback (most recent call last):\n" in text, "tracebacks keep their lines"
    assert len([line for line in text.splitlines() if line.startswith("20")]) == 2, "each line of ours is one"


def test_json_lines_hold_the_values_themselves():
    first, second = map(json.loads, written("json", TITLE).splitlines())
    assert (first["photo_id"], first["folders"], first["nested"]) == (TITLE, [TITLE], {"name": TITLE})
    assert "ValueError: " in second["exception"]


def test_a_long_value_is_cut():
    key = "a\n" * 500_000  # as the key of a record that is no event
    first, second = map(json.loads, written("json", key).splitlines())
    assert first["photo_id"].startswith("a\na\n")
    assert max(len(one) for one in (first["photo_id"], first["event"], first["folders"][0], second["error"])) < 3_000
    assert len(second["exception"]) < 70_000


def test_long_tracebacks_show_no_local_variables():
    password = "hidden"  # noqa: F841 # it must not be shown
    assert "password" not in written("console", "x").replace("test_long_tracebacks", "")


def test_warnings_of_libraries_are_lines_of_ours():
    out = io.StringIO()
    with redirect_stderr(out):
        logs.configure(LogSettings(log_format="json"))
        record = logging.LogRecord("kafka.conn", logging.WARNING, "", 0, "%s: https://ana:pw@host", (TITLE,), None)
        LibraryLines().handle(record)
    line = json.loads(out.getvalue())
    assert (line["library"], line["level"], line["event"]) == ("kafka.conn", "warning", f"{TITLE}: https://host")
    assert isinstance(logging.lastResort, LibraryLines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("praça.jpg", "praça.jpg"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\udcffb", "a\\udcffb"),
        ("a\x9bb", "a\\x9bb"),
        ("a\nb", "a\\nb"),
    ],
)
def test_texts_are_shown_as_they_are_or_escaped(text, shown):
    assert printable(text) == shown
    assert printable(text, keep="\n") == (text if "\n" in text else shown)
