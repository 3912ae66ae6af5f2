"""Pages of what governs issuance: authorities, profiles and credentials."""
