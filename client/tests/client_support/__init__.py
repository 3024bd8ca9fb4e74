"""Helpers of the tests of the partners' package. Nothing of the server is imported here."""
