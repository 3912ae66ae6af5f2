"""``python -m tests.fuzz.run --seconds N``: every target for N seconds, or those named with ``--target``.

With atheris (dependency group ``fuzz``) each target runs coverage-guided in a process of its own; without it, over
deterministic mutations of its seeds. A finding is written to ``.dev/fuzz/<target>-<digest>`` and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.mutate import mutations
from tests.fuzz.targets import TARGETS, run_one

FINDINGS = Path(".dev/fuzz")


def main() -> int:
    """Run the targets and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may be repeated")
    parser.add_argument("--atheris-child", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help="do not use atheris")
    options = parser.parse_args()
    if options.atheris_child:
        return _atheris_child(options.atheris_child, options.seconds)
    guided = not options.plain and importlib.util.find_spec("atheris") is not None
    print("coverage-guided by atheris" if guided else "deterministic mutations (atheris is not installed)")
    failed = []
    for name in options.target or TARGETS:
        found = _guided(name, options.seconds) if guided else _plain(name, options.seconds)
        print(f"{name:20} {found}", flush=True)
        if not found.startswith("ok"):
            failed.append(name)
    return 1 if failed else 0


def _plain(name: str, seconds: int) -> str:
    end = time.monotonic() + seconds  # noqa: TID251 - a budget of the tool itself
    count = 0
    for data in mutations(TARGETS[name].seeds(), name):
        try:
            run_one(name, data)
        except Exception:
            FINDINGS.mkdir(parents=True, exist_ok=True)
            path = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            path.write_bytes(data)
            traceback.print_exc()
            return f"FINDING {path}"
        count += 1
        if time.monotonic() > end:  # noqa: TID251
            break
    return f"ok, {count} inputs"


def _guided(name: str, seconds: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", "--atheris-child", name, "--seconds", str(seconds)],
        capture_output=True,
        check=False,
        timeout=seconds + 300,
    )
    if done.returncode == 0:
        progress = re.findall(r"^#\d+\s+DONE.*$", done.stderr.decode(errors="replace"), re.MULTILINE)
        return f"ok, {' '.join(progress[-1].split()) if progress else ''}"
    sys.stderr.buffer.write(done.stderr[-4000:])
    return f"FINDING in {FINDINGS}/"


def _atheris_child(name: str, seconds: int) -> int:
    import atheris  # type: ignore[import-not-found,unused-ignore]

    # tests.fuzz.targets is imported already, so its modules are instrumented function by function
    atheris.instrument_all()
    FINDINGS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(TARGETS[name].seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        arguments = [
            sys.argv[0],
            f"-max_total_time={seconds}",
            "-max_len=65536",
            f"-artifact_prefix={FINDINGS}/{name}-",
        ]
        atheris.Setup([*arguments, corpus], lambda data: run_one(name, data))
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
