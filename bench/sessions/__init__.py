"""How fast, and in how much memory, the partners' command reads sessions."""
