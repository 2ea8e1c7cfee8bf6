"""What every process needs once: settings, logs, metrics, the gRPC server, shutdown."""
