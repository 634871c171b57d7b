"""Logins: who a customer is, whether the password is right, and what is kept of it."""
