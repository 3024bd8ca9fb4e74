"""The status service: keeps the state of every request from completion events, and answers for it."""
