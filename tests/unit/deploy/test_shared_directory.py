"""One data directory for several containers, each of whose processes have the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pycryptoutil.barrier import sources
from pycryptoutil.service import ready, tls_material


@pytest.mark.parametrize(
    "write",
    [ready.write_private, sources.write_private, partial(tls_material._write, mode=0o600)],
    ids=["ready", "barrier", "tls"],
)
def test_equal_process_numbers_do_not_disturb_a_write(
    write: Callable[[Path, bytes], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shared"
    others = iter((b"of the other container",))
    replace = Path.replace

    def replace_after_the_other(self: Path, target: Path) -> Path:
        for content in others:  # it begins and ends between our writing and our renaming
            write(path, content)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_after_the_other)
    write(path, b"of this one")
    assert path.read_bytes() == b"of this one"
    assert [one.name for one in tmp_path.iterdir()] == ["shared"]
