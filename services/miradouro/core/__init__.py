"""What Miradouro knows: pure functions and data; no network, no disk, no clock, no environment."""
