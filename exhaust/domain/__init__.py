"""The rules of requests, days, datasets and keys, as plain functions over plain data: no I/O."""
