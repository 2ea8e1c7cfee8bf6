"""The audit of Kafka against OpenSearch: verifies the consumer's guarantees without using the consumer's state."""
