"""Expected exceptions of the rooms below, as one line and an exit code."""

from __future__ import annotations

import traceback

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.cli import exits
from pycryptoutil.cli.exits import CommandError
from pycryptoutil.errors import ConfigurationError, CoreError, StartupError

_CODES = {
    FaultKind.UNAUTHENTICATED: exits.DENIED,
    FaultKind.FORBIDDEN: exits.DENIED,
    FaultKind.NOT_FOUND: exits.NOT_FOUND,
    FaultKind.SEALED: exits.NOT_READY,
    FaultKind.BUSY: exits.NOT_READY,
    FaultKind.RATE_LIMITED: exits.NOT_READY,
    FaultKind.UNAVAILABLE: exits.UNREACHABLE,
}


def explain(error: BaseException) -> CommandError:
    """Return what to tell; of an exception that nobody expected its place, since its message may hold a secret."""
    match error:
        case CommandError():
            return error
        case ConfigurationError():
            said = error.message if not error.key or error.key in error.message else f"{error.key}: {error.message}"
            return CommandError(said, exits.CONFIGURATION)
        case StartupError() | CoreError():
            return CommandError(str(error).split("\n", 1)[0], exits.STARTUP)
        case Fault():
            return CommandError(_text(error), _CODES.get(error.kind, exits.FAILED))
        case OSError() if error.filename:
            return CommandError(f"{error.filename}: {error.strerror}", exits.FAILED)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return CommandError(f"internal error: {type(error).__name__}{where}; PYCRYPTOUTIL_TRACEBACK=1 shows more")


def _text(fault: Fault) -> str:
    from pycryptoutil.crypto.pkcs11.faults import TokenFault

    if isinstance(fault, TokenFault):  # of a token of this machine: its whole text is for who works here
        return fault.detail
    return fault.public or fault.detail
