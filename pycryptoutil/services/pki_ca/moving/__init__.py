"""CAs that come from elsewhere, and go there: import, backup and restore over REST."""
