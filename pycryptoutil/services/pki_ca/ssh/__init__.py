"""The REST API of SSH certificates."""
