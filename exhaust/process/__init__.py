"""The life of a process: start, health, periodic loops, a watchdog, and a drain at SIGTERM."""
