"""OCSP (RFC 6960, RFC 5019, RFC 9654), without I/O.

Per request: ``codec.decode_get(path)`` or the POST body → ``codec.peek(der)`` (the reactor's cache key: CertID bytes
and whether there is a nonce; None when only the full decoder can tell) → ``codec.decode_request(der)`` →
``exchange.serials(request, issuer)`` → the store's ``exchange.Status`` of each → ``exchange.answer(request, issuer,
statuses, now, policy)``, whose ``singles``, ``nonce`` and ``extensions`` are the arguments of the core's
``OcspSigner.sign`` → ``caching.headers(...)``. A Fault becomes bytes in ``failures.error_response(fault)``.

``response.build_response`` is the slow twin of the core's builder; ``response.decode_response`` reads one and
``response.verify_response`` checks its signature. ``exchange.Issuer.of(name_der, spki)`` has the issuer's hashes.
"""
