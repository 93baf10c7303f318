"""Billing: quotes, reservations and the ledger of credits."""
