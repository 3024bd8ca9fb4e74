"""One module a group of operations: each parses a call and answers it."""
