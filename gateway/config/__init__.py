"""The routing file: YAML in, one frozen snapshot out, or every fault with its place."""
