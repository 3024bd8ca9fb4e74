"""The commands of `exhaust`: a module each, with `run(arguments, output)`, which returns the exit code."""
