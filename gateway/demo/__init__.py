"""A small commerce API with data of several customers, for `make run`, tutorials and tests; it knows no gateway."""
