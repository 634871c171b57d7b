"""Carries calls to the upstream and answers back: one pool of our own connections, no task for what need not wait."""
