"""The CA's REST API, for people and programs, under both path prefixes."""
