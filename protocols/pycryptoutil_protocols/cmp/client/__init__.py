"""A CMP client without I/O: an end entity's, and a registration authority's (RFC 9810, RFC 9483).

:class:`.exchange.Exchange` builds the messages of one transaction and checks the answers; :class:`.enrolment.Enrolment`
goes through a whole enrolment with polling and confirmation; :mod:`.requests` makes what is sent; :mod:`.ra` is what a
registration authority does with other people's messages. Whoever calls brings the bytes to the server and back.
"""
