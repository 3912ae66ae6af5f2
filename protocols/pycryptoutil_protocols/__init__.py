"""Sans-IO codecs and state tables of the protocols that pycryptoutil speaks: no socket, no clock, no database.

``faults`` (the one error type), ``ports`` (Signer …), ``der`` (strict DER), ``pem`` (base64 and PEM), ``oids``,
``algorithms`` (names ⇄ AlgorithmIdentifier, key facts, ``verify``), ``names`` (Name and GeneralName), ``x509``
(certificate facts, Extension lists), ``csr`` (PKCS#10), ``cms`` (SignedData, EnvelopedData), ``crl`` (the slow twin
of the core's CRL builder), ``est`` and ``ocsp``. Every decoder takes bytes and raises :class:`faults.Fault` only.
"""
