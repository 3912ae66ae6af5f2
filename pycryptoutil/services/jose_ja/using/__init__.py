"""Which keys an operation uses, by the gate of the keyring, and what is told of it."""
