"""``pip install`` of the two built wheels into an empty virtual environment gives a working ``pycryptoutil``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.suite import until

pytestmark = pytest.mark.interop
ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the source tree; its output, or a failure that shows it."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_both_wheels_in_an_empty_environment(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    run(TOOLS / "maturin", "build", "--release", "--locked", "--out", dist, cwd=ROOT)
    run(TOOLS / "uv", "build", "--quiet", "--wheel", "--out-dir", dist, ROOT / "protocols", cwd=tmp_path)
    wheels = sorted(dist.glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["pycryptoutil", "pycryptoutil_protocols"]
    assert "abi3" in wheels[0].name

    environment = tmp_path / "empty"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    run(TOOLS / "uv", "pip", "install", "--quiet", "--python", python, *wheels, cwd=tmp_path)
    program = environment / "bin" / "pycryptoutil"
    version = json.loads(run(program, "version", "--json", cwd=tmp_path))
    assert version["pycryptoutil"] == version["pycryptoutil-protocols"] == wheels[0].name.split("-")[1]

    # data files travel: profiles, migrations, templates and the viewer
    database = tmp_path / "data"
    run(program, "db", "upgrade", "--profile", "dev", "--data-dir", database, cwd=tmp_path)
    found = run(
        python,
        "-c",
        "import pycryptoutil, pathlib, json; root = pathlib.Path(pycryptoutil.__file__).parent;"
        "print(json.dumps([len(list(root.glob('authority/profiles/*.yaml'))),"
        " len(list(root.glob('service/pages/**/*.html*'))), str(root)]))",
        cwd=tmp_path,
    )
    profiles, pages, where = json.loads(found)
    assert profiles == 24
    assert pages >= 1
    assert Path(where).is_relative_to(environment)

    # and it serves: every service, with a CA of its own, away from the source tree
    ready = tmp_path / "ready.json"
    arguments = ("run", "suite", "--profile", "test", "--data-dir", tmp_path / "suite", "--ready-file", ready)
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    with (tmp_path / "log").open("wb") as log:
        serving = subprocess.Popen([str(part) for part in (program, *arguments)], cwd=tmp_path, env=clean, stderr=log)
    try:
        until(lambda: ready.exists() or serving.poll() is not None, "the suite serves")
        assert serving.poll() is None, (tmp_path / "log").read_text()
        listed = json.loads(run(program, "ca", "list", "--json", "--ready-file", ready, cwd=tmp_path))
        assert [one["name"] for one in listed] == ["root", "issuing"]
    finally:
        serving.terminate()
        assert serving.wait(30) == 0
