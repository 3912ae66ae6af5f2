"""Tables: for people on a terminal, whole lines of tab-separated cells for everything else."""

from __future__ import annotations

import sys

import pytest

from pycryptoutil.cli import output

SERIAL = "0123456789abcdef" * 4


def test_a_pipe_gets_whole_cells_one_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"serial": SERIAL + str(n), "subject": "CN=" + "x" * 400, "names": ["a", "b"]} for n in range(3)]
    output.table(rows, ("serial", "subject", "names"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "serial\tsubject\tnames"
    assert [line.split("\t") for line in lines[1:]] == [[r["serial"], r["subject"], "a, b"] for r in rows]


def test_values_break_no_row_and_drive_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([{"a": "x\ty\nz\x1b[31m", "b": None}], ("a", "b"))
    assert capsys.readouterr().out == "a\tb\nx\\ty\\nz\\x1b[31m\t–\n"
    output.record({"serial": SERIAL, "text": "1\n2"})
    assert capsys.readouterr().out == f"serial\t{SERIAL}\ntext\t1\\n2\n"


def test_no_rows_are_a_heading_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([], ("a", "b"))
    assert capsys.readouterr().out == "a\tb\n"


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table([{"a_name": "x", "b": 1}], ("a_name", "b"))
    told = capsys.readouterr().out
    assert "a name" in told
    assert "\t" not in told
    output.table([], ("a",))
    assert "none" in capsys.readouterr().out
