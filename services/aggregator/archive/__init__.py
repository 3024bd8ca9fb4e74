"""The formats of archives and their summaries, as pure bytes: equal inputs give equal bytes on any machine."""
