"""Exit codes, the same for every command."""

from __future__ import annotations

FAILED = 1
USAGE = 2
CONFIGURATION = 3
STARTUP = 4
UNREACHABLE = 5
DENIED = 6
NOT_FOUND = 7
NOT_READY = 8
INTEGRITY = 9

# \b keeps click from wrapping the table into a paragraph
EPILOGUE = """\b
Exit codes:
  0  done
  1  refused, or failed
  2  wrong usage
  3  configuration error
  4  cannot start: port in use, database incompatible, directory not writable
  5  the service cannot be reached
  6  not authenticated, or not allowed
  7  not found
  8  not ready, sealed or busy: try again
  9  integrity: the audit chain is broken
"""


class CommandError(Exception):
    """A failure told in one line, with its exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
