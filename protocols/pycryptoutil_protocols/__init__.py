"""Sans-IO codecs and state tables of the protocols that pycryptoutil speaks: no socket, no clock, no database."""
