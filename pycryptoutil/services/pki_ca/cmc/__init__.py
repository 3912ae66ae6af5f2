"""CMC (RFC 5272, 5273, 5274, 6402) over HTTP and HTTPS, and as EST's fullcmc."""
