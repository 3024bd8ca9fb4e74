"""The benchmark of the gateway: its speed beside a bare service with the same SQL, and beside slow callers."""
