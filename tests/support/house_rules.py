"""House rules that no linter knows: file lengths, who may import SQLAlchemy and asn1crypto, no foreign hosts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE = 600
MAX_SERVICE_FOLDER = 500
SQL_HOMES = re.compile(r"pycryptoutil/storage/|/store(/|\.py$)|_store\.py$|/migrations/|^tests/")
ASN1_HOMES = re.compile(r"/(der|cms|codec)\.py$|^tests/")
CORE_HOMES = re.compile(r"pycryptoutil/crypto/|^tests/")
CORE_IMPORT = re.compile(r"^\s*(from pycryptoutil import .*\b_core\b|(from|import) pycryptoutil\._core)", re.MULTILINE)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of this checkout that match."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def lines(path: Path) -> int:
    """Count lines."""
    return path.read_text(encoding="utf-8").count("\n")


def complaints() -> Iterator[str]:
    """Yield one line for each broken rule."""
    for path in tracked("*.py", "*.rs"):
        name = path.relative_to(ROOT).as_posix()
        count = lines(path)
        if count > MAX_FILE:
            yield f"{name}: {count} lines, more than {MAX_FILE}"
        text = path.read_text(encoding="utf-8")
        if re.search(r"^\s*(from|import) sqlalchemy", text, re.MULTILINE) and not SQL_HOMES.search(name):
            yield f"{name}: SQLAlchemy outside storage/ and stores"
        if re.search(r"^\s*(from|import) asn1crypto", text, re.MULTILINE) and not ASN1_HOMES.search(name):
            yield f"{name}: asn1crypto outside der.py, cms.py and codec.py"
        if CORE_IMPORT.search(text) and not CORE_HOMES.search(name):
            yield f"{name}: the Rust core outside crypto/"
    folders: dict[Path, int] = {}
    for path in tracked("pycryptoutil/services/*.py"):
        if "migrations" not in path.parts:
            folders[path.parent] = folders.get(path.parent, 0) + lines(path)
    for folder, count in folders.items():
        if count > MAX_SERVICE_FOLDER:
            yield f"{folder.relative_to(ROOT)}: {count} lines of Python, more than {MAX_SERVICE_FOLDER}"


def main() -> int:
    """Print the complaints; exit 1 if there is one."""
    found = list(complaints())
    for line in found:
        sys.stderr.write(f"house rule: {line}\n")
    if not found:
        sys.stdout.write("house rules: kept\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
