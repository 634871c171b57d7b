"""Listeners of the events: what becomes a log line and what a number. Nothing here decides anything."""
