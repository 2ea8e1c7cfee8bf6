"""The audit of Kafka against OpenSearch: what the consumer promised, proved without anything that the consumer remembers."""
