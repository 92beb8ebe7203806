"""Flows beyond the domains."""

from pulpo import flow

flow("settle", includes=["shop.payments"], one_per="order_id")
