"""Customers, orders of theirs and products, as Django keeps them."""

from django.db import models


class Customer(models.Model):
    """A customer."""

    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(unique=True)

    def __str__(self) -> str:
        """Name it."""
        return str(self.email)


class Order(models.Model):
    """An order of a customer."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    note = models.CharField(max_length=200)
    total = models.DecimalField(max_digits=8, decimal_places=2)

    def __str__(self) -> str:
        """Name it."""
        return str(self.note)


class Product(models.Model):
    """A product."""

    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        """Name it."""
        return str(self.name)
