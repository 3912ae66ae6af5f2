"""Shamir: shares at the first start, sealed at every later one, unsealed over the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.suite import StartSuite, Suite, call_cli, until

SHAMIR = {"barrier": {"mode": "shamir", "shares": 3, "threshold": 2}}


def shares_of(running: Suite) -> list[str]:
    (path,) = running.data_dir.glob("unseal-shares-*.txt")
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def health(running: Suite) -> int:
    return running.http().get("/service/api/v1/health").status_code


@pytest.mark.parametrize("workers", [1, 2])
def test_sealed_until_enough_shares(suite: StartSuite, tmp_path: Path, workers: int) -> None:
    running = suite(tmp_path, extra_config=SHAMIR, workers=workers)
    first, second, third = shares_of(running)
    for _ in range(4 * workers):  # whoever made the shares is open, and so are its siblings
        assert running.api().get("principals", headers={"Connection": "close"}).status_code == 200
    assert running.stop() == 0

    running.start()
    answer = running.http().get("/service/api/v1/principals")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    status: dict[str, Any] = running.cli_json("barrier", "status")
    assert (status["sealed"], status["progress"], status["threshold"]) == (True, 0, 2)
    assert running.cli("readyz", code=8)

    foreign = "AQ" + "A" * 60
    wrong = running.cli("barrier", "unseal", stdin=f"{foreign}\n", code=None)
    assert wrong.returncode == 1
    assert "share" in wrong.stderr
    mistyped = running.cli("barrier", "unseal", stdin=f"{first[:-1]}{'A' if first[-1] != 'A' else 'B'}\n", code=None)
    assert mistyped.returncode == 1
    assert foreign not in running.log_text()

    assert running.cli_json("barrier", "unseal", stdin=f"{first}\n")["progress"] == 1
    again = running.cli("barrier", "unseal", stdin=f"{first}\n", code=None)
    assert again.returncode == 1
    assert "given already" in again.stderr
    assert running.cli_json("barrier", "unseal", stdin=f"{third}\n")["sealed"] is False
    until(lambda: running.cli("readyz", code=None).returncode == 0, "ready")
    api = running.api()
    for _ in range(6):  # whichever worker answers
        assert api.get("principals", headers={"Connection": "close"}).status_code == 200
    for share in (first, second, third):
        assert share not in running.log_text()


def test_sealing_by_hand_and_opening_again(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path, extra_config=SHAMIR)
    shares = shares_of(running)
    running.cli("barrier", "seal")
    assert running.http().get("/service/api/v1/principals").status_code == 503
    running.cli("barrier", "unseal", stdin="\n".join(shares))
    until(lambda: running.cli("readyz", code=None).returncode == 0, "ready")
    assert running.api().get("principals").status_code == 200


def test_rotation_over_the_command_line(suite: StartSuite, tmp_path: Path) -> None:
    running = suite(tmp_path)
    before = running.cli_json("barrier", "status")["generations"]
    running.cli("barrier", "rotate", "content")
    after = running.cli_json("barrier", "status")["generations"]
    assert after["content"] == before["content"] + 1
    assert after["root"] == before["root"]


def test_keys_can_be_made_before_the_first_start(suite: StartSuite, tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "init.yaml"
    config.write_text("barrier: {mode: shamir, shares: 3, threshold: 2}\n")
    done = call_cli("barrier", "init", "--profile", "test", "--data-dir", data, "--config", config)
    assert done.returncode == 0, done.stderr
    assert "3 shares are in" in done.stdout
    running = suite(tmp_path, extra_config=SHAMIR)
    assert running.http().get("/service/api/v1/principals").status_code == 503
    running.cli("barrier", "unseal", stdin="\n".join(shares_of(running)))
    until(lambda: running.cli("readyz", code=None).returncode == 0, "ready")
    assert running.api().get("principals").status_code == 200
