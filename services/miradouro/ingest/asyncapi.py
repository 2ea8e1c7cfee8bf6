"""The topics as AsyncAPI 3: the events of an upload system, and the dead letters."""

from typing import Any

from miradouro.adapters.kafka import KafkaSettings
from miradouro.core.event import EventKind
from miradouro.ingest.cloud_event import SCHEMA
from miradouro.ingest.event_schema import DRAFT, KEY_PATTERN, data_schema, event_schema

_FORMAT = f"application/schema+json;version={DRAFT}"


def asyncapi(settings: KafkaSettings) -> dict[str, Any]:
    """The AsyncAPI document with the topics and the first broker of `settings`."""
    attributes = event_schema()["properties"]
    state = data_schema()
    del state["$schema"]
    structured = event_schema()
    del structured["$schema"]
    broker = settings.kafka_bootstrap.split(",")[0].strip()
    is_secure = settings.kafka_security_protocol != "PLAINTEXT"
    key = {"kafka": {"key": {"type": "string", "description": "collection/photo id", "pattern": KEY_PATTERN}}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Miradouro photo events",
            "version": SCHEMA.rpartition(":")[2],
            "description": "CloudEvents 1.0 over Kafka that report uploaded, changed and deleted photos.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": broker, "protocol": "kafka-secure" if is_secure else "kafka"}},
        "channels": {
            "photos": {
                "address": settings.kafka_topic,
                "description": "Every event of a photo under one key; compacted, and never expired by time.",
                "messages": {"binary": {"$ref": _message("binary")}, "structured": {"$ref": _message("structured")}},
                "bindings": {"kafka": {"topic": settings.kafka_topic}},
            },
            "deadLetters": {
                "address": settings.kafka_dead_topic,
                "description": "Records that could not become photos, each with its reason.",
                "messages": {"deadLetter": {"$ref": _message("deadLetter")}},
                "bindings": {"kafka": {"topic": settings.kafka_dead_topic}},
            },
        },
        "operations": {
            "takePhotoEvents": {"action": "receive", "channel": {"$ref": "#/channels/photos"}},
            "tellDeadLetters": {"action": "send", "channel": {"$ref": "#/channels/deadLetters"}},
        },
        "components": {
            "messages": {
                "binary": {
                    "title": "Photo event, binary mode",
                    "summary": "Attributes in headers, the photo's state as value; no value, with ce_photoversion, deletes.",
                    "contentType": "application/json",
                    "headers": {
                        "type": "object",
                        "required": ["ce_specversion", "ce_id", "ce_type", "ce_photoversion"],
                        "properties": {
                            **{f"ce_{name}": attributes[name] for name in ("specversion", "id", "source", "type", "subject")},
                            **{f"ce_{name}": attributes[name] for name in ("photoversion", "dataschema", "traceparent")},
                            "content-type": {"type": "string"},
                        },
                    },
                    "payload": {"schemaFormat": _FORMAT, "schema": state},
                    "bindings": key,
                    "examples": [_example()],
                },
                "structured": {
                    "title": "Photo event, structured mode",
                    "contentType": "application/cloudevents+json",
                    "payload": {"schemaFormat": _FORMAT, "schema": structured},
                    "bindings": key,
                },
                "deadLetter": {
                    "title": "Dead letter",
                    "summary": "The value of the record that failed, and as headers why it failed and where it stands. One "
                    "without reason is a note: the letter that it names, or each before it of the photo, needs nothing any more.",
                    "contentType": "application/octet-stream",
                    "headers": {
                        "type": "object",
                        "required": ["miradouro-reason", "miradouro-message", "miradouro-failed-at"],
                        "properties": {f"miradouro-{name}": {"type": "string"} for name in _LETTER_HEADERS},
                    },
                },
            }
        },
    }


_LETTER_HEADERS = (
    "reason",
    "message",
    "collection",
    "photo-id",
    "version",
    "uri",
    "failed-at",
    "traceparent",
    "topic",
    "partition",
    "offset",
    "key",
    "value-sha256",
    "letter-partition",
    "letter-offset",
)


def _example() -> dict[str, Any]:
    return {
        "name": "uploaded",
        "headers": {
            "ce_specversion": "1.0",
            "ce_id": "4b1d",
            "ce_type": EventKind.UPLOADED.value,
            "ce_photoversion": "1717178700000",
        },
        "payload": {
            "uri": "s3://photos/lisbon/tram.jpg",
            "title": "Tram 28",
            "tags": ["tram"],
            "place": {"latitude": 38.71, "longitude": -9.13},
            "taken_at": {"instant": "2024-05-31T18:05:00Z", "utc_offset_minutes": 60},
        },
    }


def _message(name: str) -> str:
    return f"#/components/messages/{name}"
