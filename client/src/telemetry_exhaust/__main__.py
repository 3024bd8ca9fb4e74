"""Runs the command `exhaust` as `python -m telemetry_exhaust`."""

from telemetry_exhaust.command import main

if __name__ == "__main__":
    main()
