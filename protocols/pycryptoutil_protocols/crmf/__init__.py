"""Certificate Request Message Format (RFC 4211), without I/O.

:mod:`.messages` has the values and :mod:`.codec` reads and writes them as DER.
"""
