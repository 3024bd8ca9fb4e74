"""The contract: whatever crosses a process boundary. It imports nothing else of this project."""
