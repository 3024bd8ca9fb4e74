"""Ways to run the system: today on one machine, for development and tests."""
