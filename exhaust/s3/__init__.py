"""Listing, reading, writing and signing objects: the only folder that imports the S3 driver."""
