"""A CMP server without I/O: what each message of a transaction may be, and what is answered (RFC 9810, RFC 9483).

:mod:`.engine` takes the bytes of a request and gives the bytes of the answer. It asks an :class:`.office.Office` for
everything that is the CA's own: who signed, what is issued, what was said before. Time and memory are the office's too.
"""
