"""One raw object read from its first to its last byte: inflate → lines → select → deflate.

Pure work on bytes, without I/O. It runs in processes of its own, which import nothing else of the aggregator.
"""
