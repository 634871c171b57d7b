"""Writes a first routing file: of an OpenAPI document, or of a preset. It opens nothing that it only guesses."""
