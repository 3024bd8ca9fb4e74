"""Turns requests into days, days into archives, and the last finished day into the download."""
