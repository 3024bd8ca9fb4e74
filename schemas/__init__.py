"""The contract: whatever crosses a process boundary. Imports nothing else of this project."""
