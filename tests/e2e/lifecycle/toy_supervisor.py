"""A supervisor with workers that serve nothing: run as a script by test_supervisor.

``toy_supervisor.py COUNT BEHAVIOUR``: each worker says it is ready, then sleeps, and answers messages by printing them.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys

from pycryptoutil.clock import SystemClock
from pycryptoutil.service import logging
from pycryptoutil.service.control import MAX_PACKET, Message
from pycryptoutil.service.settings import LoggingSettings
from pycryptoutil.service.supervisor import Supervisor

COUNT, BEHAVIOUR = int(sys.argv[1]), sys.argv[2]


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def worker(number: int, link: socket.socket) -> int:
    say(f"worker {number} {os.getpid()}")
    if BEHAVIOUR == "fail":
        return 4
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    signal.signal(signal.SIGHUP, lambda *_: say(f"reload {number}"))
    link.send(Message("ready", services={"toy": {"public": "p", "admin": "a", "pid": 1}}, trust_bundle="/b").encode())
    if BEHAVIOUR == "unseal" and number == 0:
        link.send(Message("unseal", share="s1").encode())
    while not stopping or BEHAVIOUR in {"stubborn", "patient"}:
        if select.select([link], [], [], 0.05)[0]:
            packet = link.recv(MAX_PACKET)
            if not packet:
                say(f"orphan {number}")
                return 0
            message = Message.decode(packet)
            if message.kind == "stop" and BEHAVIOUR == "patient":
                return 1
            if BEHAVIOUR == "shutdown" and number == COUNT - 1 and message.ready == COUNT:
                link.send(Message("shutdown").encode())
            say(f"heard {number} {message.kind} {message.share}{message.ready}/{message.wanted}")
    say(f"drained {number}")
    return 0


def main() -> int:
    logging.configure(LoggingSettings(format="json"))
    return Supervisor(
        COUNT,
        worker,
        clock=SystemClock(),
        shutdown_timeout=0.5 if BEHAVIOUR == "stubborn" else 10,
        on_ready=lambda message: say(f"all ready {sorted(message.services)}"),
        on_reload=lambda: say("reload"),
    ).run()


if __name__ == "__main__":
    sys.exit(main())
