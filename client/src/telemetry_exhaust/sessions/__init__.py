"""Sessions in downloads: trees of the parts that the standard workflows draw."""
