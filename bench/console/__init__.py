"""The benchmark of the console: what it costs the data path, and its memory."""
