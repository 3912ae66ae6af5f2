"""A CA in a file that only the holder of a recovery key can read, and back."""

from pycryptoutil.authority.lifecycle.backup.make import Part, part
from pycryptoutil.authority.lifecycle.backup.restore import Restored, RestoreOrder, restore

__all__ = ["Part", "RestoreOrder", "Restored", "part", "restore"]
