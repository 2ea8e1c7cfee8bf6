"""The demonstration of many machines: photos through Kafka into OpenSearch, and answers compared with the embedded index."""
