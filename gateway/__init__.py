"""Customer-token gateway: an authenticating reverse proxy in front of a commerce API."""

# Also in pyproject.toml. To ask the installed package's metadata takes as long as half of `gateway --version`.
__version__ = "0.1.0"
