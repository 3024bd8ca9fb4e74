"""One folder is one process and one image; services never import one another."""
