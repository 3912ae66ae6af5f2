"""Logs: one JSON object a line, no secrets, no foreign tracebacks."""

from __future__ import annotations

import json
import logging as standard
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.clock import FixedClock
from pycryptoutil.service import logging
from pycryptoutil.service.redaction import MASK, redact_text, redact_value
from pycryptoutil.service.settings import LoggingSettings


class Lines:
    def __init__(self, reader: int) -> None:
        self._reader = reader

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def text(self) -> str:
        try:
            return os.read(self._reader, 1 << 16).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    root = standard.getLogger()
    handlers, level = list(root.handlers), root.level
    logging.configure(LoggingSettings(format="json"), FixedClock())
    monkeypatch.setattr(logging._state.sink, "descriptor", writer)
    try:
        yield Lines(reader)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
        os.close(reader)
        os.close(writer)


def test_one_object_a_line(lines: Lines) -> None:
    structlog.get_logger().info("request", status=200, path="/a\nb")
    (line,) = lines.read()
    assert list(line) == ["time", "level", "event", "status", "path"]
    assert line["time"] == "2026-01-01T00:00:00.000Z"


def test_level_can_change_while_running(lines: Lines) -> None:
    log = structlog.get_logger()
    log.debug("unseen")
    logging.configure(LoggingSettings(level="debug", format="json"))
    log.debug("seen")
    assert [line["event"] for line in lines.read()] == ["seen"]


def test_unexpected_exception_shows_frames_and_not_its_message(lines: Lines) -> None:
    try:
        raise ValueError("hunter2 in a message")
    except ValueError:
        structlog.get_logger().exception("failed")
    text = lines.text()
    assert "hunter2" not in text
    (line,) = [json.loads(one) for one in text.splitlines()]
    assert line["exception"]["type"] == "ValueError"
    assert line["exception"]["frames"][-1].endswith("test_unexpected_exception_shows_frames_and_not_its_message")


def test_fault_shows_its_detail(lines: Lines) -> None:
    structlog.get_logger().warning("refused", exc_info=Fault(FaultKind.POLICY, "the name is not allowed"))
    assert lines.read()[0]["exception"]["detail"] == "the name is not allowed"


def test_standard_logging_comes_through_the_same_door(lines: Lines) -> None:
    try:
        raise RuntimeError("hunter2")
    except RuntimeError:
        standard.getLogger("alembic.x").exception("broken %s", "postgresql://u:hunter2@h")
    standard.getLogger("chatty").info("unseen")
    (line,) = lines.read()
    assert (line["logger"], line["event"], line["level"]) == ("alembic.x", f"broken postgresql://{MASK}@h", "error")
    assert "hunter2" not in json.dumps(line)


def test_twisted_failure_comes_through_the_same_door(lines: Lines) -> None:
    from twisted.logger import LogLevel
    from twisted.python.failure import Failure

    try:
        raise KeyError("hunter2")
    except KeyError:
        failure = Failure()
    logging._twisted({"log_level": LogLevel.critical, "log_failure": failure, "log_namespace": "x", "log_time": 0})
    text = lines.text()
    assert "hunter2" not in text
    assert json.loads(text)["exception"]["type"] == "KeyError"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "client_secret",
        "Authorization",
        "set-cookie",
        "unseal_share",
        "api_key",
        "private_key",
        "token",
        "email",
    ],
)
def test_secret_names_are_masked(name: str) -> None:
    assert redact_value(name, "hunter2") == MASK
    assert redact_value("outer", {name: "hunter2", "list": [{name: "hunter2"}]}) == {name: MASK, "list": [{name: MASK}]}


@pytest.mark.parametrize("name", ["token_id", "key_id", "path", "tokens_total", "credentials_file", "keyed"])
def test_harmless_names_are_not(name: str) -> None:
    assert redact_value(name, "x") == "x"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2",
        "Authorization: Bearer hunter2hunter2",
        "postgresql://app:hunter2@db/x",
    ],
)
def test_secret_looking_text_is_masked(text: str) -> None:
    assert "hunter2" not in redact_text(text)
    assert "hunter2" not in str(redact_value("note", ["x", {"y": text}]))


def test_values_of_unknown_types_show_their_type_only() -> None:
    class Holder:
        def __repr__(self) -> str:
            return "hunter2"

    assert redact_value("thing", Holder()) == "Holder"
    assert redact_value("body", b"hunter2") == "<7 bytes>"
    assert redact_value("error", ValueError("hunter2")) == "ValueError"


def test_text_form_cannot_drive_a_terminal(lines: Lines) -> None:
    logging.configure(LoggingSettings(format="text"))
    structlog.get_logger().info("hello", value="\x1b[2J\r\nforged line")
    text = lines.text()
    assert text.count("\n") == 1
    assert "\x1b[2J" not in text
