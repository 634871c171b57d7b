"""Customer-token gateway: an authenticating reverse proxy in front of a commerce API."""

from importlib.metadata import version

__version__ = version("customer-token-gateway")
