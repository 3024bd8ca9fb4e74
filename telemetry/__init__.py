"""The raw telemetry: who owns an event, the standard workflows, and a generator. It imports nothing of ours."""
