"""Where the tests put their databases and files: in memory, if the machine has enough of it.

The tests make thousands of databases, of hundreds of files each on PostgreSQL, and commit to them durably; on a disk
they would spend most of their time waiting for its journal. Nothing here proves what a power cut leaves: kill -9 loses
no page of the kernel's, on a disk or in memory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEEDED = 4 << 30


def move_to_memory() -> None:
    """Let temporary files of this process and its children be in memory, unless TMPDIR says where they are to be."""
    if "TMPDIR" in os.environ or not _fits():
        return
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


def _fits() -> bool:
    """Whether there is room, and scripts can be run from there, which containers often forbid."""
    try:
        flags = os.statvfs(_MEMORY).f_flag
        return not flags & (os.ST_NOEXEC | os.ST_RDONLY) and shutil.disk_usage(_MEMORY).free >= _NEEDED
    except (AttributeError, OSError):  # another system
        return False
