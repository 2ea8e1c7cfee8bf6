"""Learns keywords from the tags that people gave, and tags photos with them."""
