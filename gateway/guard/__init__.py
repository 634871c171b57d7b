"""The guard: judges an answer of the upstream, so that no foreign record leaves."""
