"""Miradouro: a search engine for photos that looks at the pictures."""
