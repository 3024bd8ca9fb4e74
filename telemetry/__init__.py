"""What the raw data is: whose an event is, the standard workflows, and made-up telemetry. Imports nothing of ours."""
