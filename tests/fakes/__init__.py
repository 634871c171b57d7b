"""Stand-ins for the servers around the gateway, with real sockets and real bytes."""
