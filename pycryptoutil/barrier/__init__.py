"""Keys at rest: unsealing, the key hierarchy, rotation and rewrapping."""

from pycryptoutil.barrier.barrier import Barrier, BarrierStatus
from pycryptoutil.barrier.sources import BarrierOptions
from pycryptoutil.barrier.store import SealedColumn

__all__ = ["Barrier", "BarrierOptions", "BarrierStatus", "SealedColumn"]
