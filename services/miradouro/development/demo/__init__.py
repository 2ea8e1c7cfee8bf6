"""The demonstration of many machines: photos through Kafka into OpenSearch, and answers held against the embedded index."""
