"""The demonstration: sample photos, one question of each kind, and a page that shows the answers."""
