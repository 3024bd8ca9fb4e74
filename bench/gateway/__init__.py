"""What the gateway costs beside a bare service that runs the same SQL, and what slow callers do to it."""
