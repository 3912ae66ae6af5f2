"""The services: one folder each. Adding one is adding its folder."""
