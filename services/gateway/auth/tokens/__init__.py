"""Signed tokens (JWT) of trusted issuers, and who their bearers are."""
