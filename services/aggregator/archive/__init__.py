"""Archives as pure bytes: the same inputs give the same zip, wherever and whenever it is made."""
