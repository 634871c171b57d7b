"""The application of tests/backends/django_shop.py."""
