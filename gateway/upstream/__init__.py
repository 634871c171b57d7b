"""The only hands that reach the upstream: connections, and the server's own credential."""
