"""Webhooks: where they may lead, and their secrets."""
