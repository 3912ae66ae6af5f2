"""CRLs and CA certificates at the URLs that certificates carry."""
