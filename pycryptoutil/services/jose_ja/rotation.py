"""When a ring may rotate: not before everybody has had the time to see the next key."""

from __future__ import annotations

from pycryptoutil_protocols.faults import Fault, FaultKind

from pycryptoutil.keyring import KeyVersion, VersionStatus
from pycryptoutil.services.jose_ja.state import State


def rotate(state: State, tenant_id: str, ring: str, who: tuple[str, str], *, force: bool) -> None:
    """Rotate a ring; Fault(CONFLICT) while the next key is not published long enough, unless it is forced.

    ``who`` is the actor and the request id.
    """
    if not force:
        _check_published(state, state.keyring.versions(tenant_id, ring))
    state.keyring.rotate(tenant_id, ring, *who)


def _check_published(state: State, versions: list[KeyVersion]) -> None:
    """Fault(CONFLICT) while somebody may hold a published set that has the active key, and not yet the next one."""
    coming = next((one for one in versions if one.status is VersionStatus.PENDING), None)
    if coming is None or coming.public is None:
        return
    seen_before = [one for one in versions if one.version != coming.version and one.created_at < coming.created_at]
    since = (state.clock.now() - coming.created_at).total_seconds()
    left = state.settings.publish_ahead_seconds - since
    if seen_before and left > 0:
        said = f"the next key was published {int(since)} s ago, and relying parties may not have it yet"
        public = f"{said}: wait {int(left) + 1} s, or force it"
        raise Fault(FaultKind.CONFLICT, said, public, retry_after=int(left) + 1)
