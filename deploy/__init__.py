"""How the system is run: on one machine for development and tests."""
