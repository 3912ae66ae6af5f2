"""Time-stamping (RFC 3161, RFC 5816), without I/O.

A server: ``codec.decode_request(der)`` → ``exchange.decide(request, policy, …)`` → ``token.sign_token(info, …)`` →
``codec.encode_reply(...)``; a Fault becomes bytes in ``failures.error_reply(fault)``. A client:
``codec.encode_request`` → ``codec.decode_reply`` → ``exchange.check_reply`` → ``token.verify_token``.
"""
