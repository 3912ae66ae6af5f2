"""ACME (RFC 8555, 8737, 8738, 8739, 9773, device attestation), without I/O.

A request: ``jws.decode(body)`` → ``jws.check_header(…)`` → the account's key → ``jws.verify(…)``. ``messages`` reads
payloads and has the states; ``validation`` judges what a validator has fetched, ``attestation`` what a device says of
itself, ``caa`` whether the DNS lets this CA issue; ``renewal`` is ARI; ``problems`` are the errors.
"""
