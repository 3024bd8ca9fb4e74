"""The archive of one day of one resource, found or built. day_builder.py begins the chain."""
