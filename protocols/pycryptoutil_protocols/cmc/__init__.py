"""Certificate Management over CMS (RFC 5272, 5273, 5274, 6402), without I/O.

:mod:`.messages` has the values, :mod:`.codec` reads and writes PKIData and PKIResponse, :mod:`.controls` knows every
control, :mod:`.layers` what is around a message, :mod:`.proofs` identity and possession. :mod:`.client` makes requests
and reads answers; :mod:`.server` answers: ``server.answer(backend, rules, request)``.
"""
