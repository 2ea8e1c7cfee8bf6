"""Domain types and pure functions: no network, no disk, no clock, no environment."""
