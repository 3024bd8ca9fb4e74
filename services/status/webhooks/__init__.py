"""The delivery of what webhooks are to be told."""
