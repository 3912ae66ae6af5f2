"""What becomes of a CA in its life: new keys, links between them, ceremonies, import, backup, cross-certificates."""
