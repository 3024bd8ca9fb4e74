"""The HTTP edge: request bodies, answers in the envelope, and listeners that slow callers cannot block."""
