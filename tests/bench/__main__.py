"""``make bench``: run every ``*_bench.py``, print each figure beside its limit or peer, write JSON.

A bench module has ``run() -> list[dict]``; a row has name, value, unit, limit_name, limit_value, ratio, aim and better
("higher" or "lower"). Nothing here fails on a time: the ratio against the limit measured in the same run is the result.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
Row = dict[str, Any]


def load(path: Path) -> ModuleType:
    """Import one bench file by its path."""
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def met(row: Row) -> bool | None:
    """Tell whether the aim is reached; None if the row has none."""
    if row.get("aim") is None or row.get("ratio") is None:
        return None
    return bool(row["ratio"] <= row["aim"] if row.get("better") == "lower" else row["ratio"] >= row["aim"])


def number(value: Any) -> str:
    """Format for a person."""
    if not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("bench-results.json"))
    parser.add_argument("only", nargs="*", help="parts of file names")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    files = sorted(HERE.rglob("*_bench.py"))
    wanted = [f for f in files if not arguments.only or any(word in f.stem for word in arguments.only)]
    rows: list[Row] = []
    failed = False
    for path in wanted:
        console.print(f"[dim]running {path.relative_to(HERE)} …[/dim]")
        try:
            rows += load(path).run()
        except Exception:
            failed = True
            console.print_exception(max_frames=5)
    table = Table(title="pycryptoutil bench: every ratio against a limit or a peer of this run")
    for heading in ("what", "value", "unit", "limit or peer", "its value", "ratio", "aim", ""):
        table.add_column(heading, justify="right" if heading in {"value", "its value", "ratio", "aim"} else "left")
    for row in rows:
        verdict = {None: "", True: "[green]reached[/green]", False: "[yellow]not yet[/yellow]"}[met(row)]
        sign = "≤" if row.get("better") == "lower" else "≥"
        aim = "" if row.get("aim") is None else f"{sign} {row['aim']}"
        ratio = "" if row.get("ratio") is None else f"{row['ratio']:.2f}"
        values = (
            row["name"],
            number(row["value"]),
            row["unit"],
            row.get("limit_name") or "",
            number(row.get("limit_value")),
        )
        table.add_row(*values, ratio, aim, verdict)
    console.print(table)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    arguments.output.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    console.print(f"written to {arguments.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
