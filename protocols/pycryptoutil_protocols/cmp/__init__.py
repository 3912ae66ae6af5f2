"""Certificate Management Protocol (RFC 9810, RFC 9481 algorithms, RFC 9483 profile, RFC 9811 over HTTP), without I/O.

:mod:`.messages` has the values and :mod:`.codec` reads and writes them as DER.
"""
