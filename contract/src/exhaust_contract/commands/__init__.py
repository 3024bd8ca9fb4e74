"""What the command `exhaust-events` can do: a module each."""
