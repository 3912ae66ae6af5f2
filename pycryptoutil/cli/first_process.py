"""Being process 1, as a container's program is: the kernel gives it two duties that no other process has.

It inherits every orphan of its namespace, and must collect them when they end; and signals that it has no handler for
are dropped, so that a SIGTERM during the imports would be lost. A small parent takes both duties over, and the program
is its child: an ordinary process.
"""

from __future__ import annotations

import os
import signal
from typing import Final

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_WAITED_FOR: Final = (*_PASSED_ON, signal.SIGCHLD)


def stand_aside() -> None:
    """Return in the process that is to run the program; the parent, if this was process 1, never returns.

    To be called while there is one thread and nothing is open: the parent keeps whatever there is.
    """
    if os.getpid() != 1:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    child = os.fork()
    if child:
        os._exit(_stay(child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)


def _stay(child: int) -> int:
    """Pass signals on and collect who ends, until the program does; return its exit code as a shell would."""
    while True:
        number = signal.sigwait(_WAITED_FOR)
        if number != signal.SIGCHLD:
            os.kill(child, number)  # it is not collected yet, so the number is still its own
            continue
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
                return code if code >= 0 else 128 - code
