"""The shared parts of every process: settings, logs, traces, metrics, health, servers, authentication and shutdown."""
