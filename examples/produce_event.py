"""A Kafka producer: publishes one photo event as an upload system does, a CloudEvent in binary mode.

python produce_event.py s3://uploads/2024/cat.jpg --title 'A cat'
"""

import argparse
import json
import time
import uuid

from kafka import KafkaProducer


def main() -> None:
    """Publishes the event and waits until the broker has it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", help="where `miradouro serve ingest` reads the photo")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="miradouro.photos")
    parser.add_argument("--collection", default="photos")
    parser.add_argument("--photo-id", help="default: the last part of the URI")
    parser.add_argument("--title", default="")
    options = parser.parse_args()

    photo_id = options.photo_id or options.uri.rsplit("/", 1)[-1]
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_source": "/examples/produce-event",
        "ce_type": "photo.uploaded",
        "ce_photoversion": str(time.time_ns() // 1_000_000),  # grows with every event of the photo
        "content-type": "application/json",
    }
    state = {"uri": options.uri, "title": options.title or None}  # the whole state of the photo, every time
    producer = KafkaProducer(bootstrap_servers=options.bootstrap, acks="all")
    sent = producer.send(
        options.topic,
        key=f"{options.collection}/{photo_id}".encode(),  # events of one photo keep their order
        value=json.dumps(state).encode(),
        headers=[(name, text.encode()) for name, text in headers.items()],
    )
    stored = sent.get(timeout=30)
    producer.close()
    print(f"{options.collection}/{photo_id} is record {stored.offset} of {stored.topic}, partition {stored.partition}")


if __name__ == "__main__":
    main()
