"""Real engines on this machine, for development and tests: Kafka and OpenSearch as processes."""
