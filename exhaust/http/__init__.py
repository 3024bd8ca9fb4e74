"""The HTTP edge: bodies in, envelopes out, and connections that nobody holds by being slow."""
