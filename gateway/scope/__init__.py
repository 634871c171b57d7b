"""Scoping: narrows a request so that it can touch only the caller's records."""
