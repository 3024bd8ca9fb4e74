"""Verification of signed tokens (JWT) of the issuers that an operator trusts."""
