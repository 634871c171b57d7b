"""The edge: sockets and aiohttp on the clients' side."""
