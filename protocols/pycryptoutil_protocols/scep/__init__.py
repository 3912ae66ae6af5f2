"""SCEP (RFC 8894): messages, their encoding, what a server decides from a message alone, and a client.

``codec`` reads and writes PKIMessages (BER in, DER out); ``exchange`` opens requests and answers them; ``transport``
is what HTTP carries; ``failures`` names each Fault in SCEP's terms; ``client`` is the other side of all that.
"""
