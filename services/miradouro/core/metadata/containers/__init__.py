"""Finds the metadata blocks in files, one module for each format."""
