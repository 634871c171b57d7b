"""The command line: parses, calls, prints. Faults are one clear line; a traceback is a bug."""
