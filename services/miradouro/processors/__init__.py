"""The ingest steps. Each is a plug-in of the entry-point group `miradouro.processors`; `plugin.py` is the interface."""
