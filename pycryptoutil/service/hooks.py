"""What the admin listener asks of the process it is in."""

from __future__ import annotations

from typing import Protocol


class ProcessHooks(Protocol):
    """Called on any thread; each returns at once."""

    def shutdown(self) -> None:
        """Drain this process, and its sibling workers."""

    def unsealed_by(self, share: str) -> None:
        """A share was accepted here: give it to the sibling workers, whose memory is their own."""

    def sealed(self) -> None:
        """The barrier was sealed here: seal the siblings'."""

    def guessed(self, service: str, group: str, account: str, failed: bool) -> None:
        """A login failed here, or is forgiven: let the other services and the sibling workers count it too."""

    def check_workers(self) -> None:
        """Fault(UNAVAILABLE) unless every worker process is ready."""
