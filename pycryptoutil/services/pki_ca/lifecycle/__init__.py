"""The life of a CA over REST: new keys, offline parents, import, backup, cross-certificates."""
