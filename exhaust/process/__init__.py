"""What makes a program a well-behaved process: signals, health, a watchdog, a drain."""
