"""The demo: sample photos, one question of each kind, and a page with the answers."""
