"""Benchmarks: each is one command, runs all parties alternately on this machine, and prints ratios."""
