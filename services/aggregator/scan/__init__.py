"""The scan of one source object, from its first to its last byte: inflate → lines → select → deflate.

These modules work on bytes, without I/O. They run in the processes of the scan workers, so they import nothing of the
aggregator but its archive formats. A *chunk* is stored bytes of the object, a *piece* is inflated bytes, and a *block*
is whole lines.
"""
