"""The console: what operators see."""
