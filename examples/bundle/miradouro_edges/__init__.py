"""The bundle `edges`: bundle.toml and edges.onnx."""
