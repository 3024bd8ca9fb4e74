"""Numbered SQL files, applied in order by exhaust.postgres.migrate."""
