"""What every process needs once: settings, logs, traces, metrics, health, servers, who may call them, shutdown."""
