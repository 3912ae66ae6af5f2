"""A graceful stop: what was counted in memory is there after the next start, of every worker process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.suite import StartSuite, suite

__all__ = ["suite"]
USES = 12


@pytest.mark.parametrize("workers", [1, 2])
def test_a_graceful_stop_loses_no_count(suite: StartSuite, tmp_path: Path, workers: int) -> None:
    running = suite(tmp_path, "sm-kms", workers=workers)
    running.cli("kms", "create", "invoices", "--purpose", "encrypt")
    for _ in range(USES):  # a connection for each, so that both workers get some
        with running.api() as client:
            sent = client.post("elastic-keys/invoices/encrypt", json={"operations": [{"plaintext": "aGk"}]})
            assert sent.status_code == 200, sent.text
    assert running.stop() == 0
    running.start()
    [version] = running.cli_json("kms", "versions", "invoices")
    assert version["usage"]["protected"] == USES
    assert version["usage"]["last_used_at"] is not None
    assert not [line for line in running.logs() if line.get("level") == "error"]
