"""Enrollment over Secure Transport (RFC 7030, RFC 8951, RFC 9908), without I/O.

Requests: ``codec.decode_csr(body, content_type)`` → ``exchange.check_enrol(csr, binding=ChannelBinding(…),
policy=EnrolPolicy(…))`` or ``check_reenrol(csr, current_certificate_der, …)``, which verify possession, channel
binding and names, and return what to issue. Answers are ``messages.Payload`` (content type, body, header fields):
``codec.encode_cacerts(chain)``, ``encode_enrolled(leaf)``, ``serverkeygen.encode_plain(pkcs8, leaf)``,
``serverkeygen.protect(...)`` + ``encode_protected(cms, leaf)``, ``csrattrs.encode(CsrAttributes(...))`` +
``codec.encode_csrattrs(der)``. ``failures.http_error(fault)`` has the status, text and header fields of an error.
"""
