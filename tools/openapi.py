"""Writes the OpenAPI description of the HTTP door from the protos, comments included; `make protos` runs it.

    python -m tools.openapi DESCRIPTOR_SET > services/miradouro/query/openapi.json

DESCRIPTOR_SET comes from protoc with --include_source_info: the generated Python code has lost the comments.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import Message
from miradouro.query.http_messages import parameter_fields
from miradouro.query.pictures import DEFAULT_SIZE, SIZES
from miradouro.v1.ingest_service_pb2 import ListFailuresRequest
from miradouro.v1.search_service_pb2 import SearchRequest

from tools.http_examples import EXAMPLES
from tools.protos import PACKAGE, Protos

Json = dict[str, Any]
_MAY_BE_ABSENT = {".miradouro.v1.PhotoEvent.source"}  # a oneof of two fields of which none may be set
_TIMESTAMP = ".google.protobuf.Timestamp"
_Field = FieldDescriptorProto
_PLAIN: dict[int, Json] = {
    _Field.TYPE_BOOL: {"type": "boolean"},
    _Field.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _Field.TYPE_DOUBLE: {"type": "number"},
    _Field.TYPE_INT32: {"type": "integer"},
    _Field.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]+$"},  # a number would lose digits past 2^53
    _Field.TYPE_SINT32: {"type": "integer"},
    _Field.TYPE_STRING: {"type": "string"},
    _Field.TYPE_UINT32: {"type": "integer", "minimum": 0},
    _Field.TYPE_UINT64: {"type": "string", "pattern": "^[0-9]+$"},
}
_COLLECTION = "Collection of the photo."
_PHOTO_ID = "Identifies the photo within its collection; a / in it may stand as it is or as %2F."


class _Schemas(Protos):
    """JSON schemas of the messages and enums."""

    def schema(self, field: FieldDescriptorProto) -> Json:
        """The schema of a field's values."""
        one = self._schema_of_one(field)
        if field.label != _Field.LABEL_REPEATED:
            return one
        entry = self.messages.get(field.type_name)
        if entry is not None and entry.options.map_entry:
            return {"type": "object", "additionalProperties": self._schema_of_one(entry.field[1])}
        return {"type": "array", "items": one}

    def _schema_of_one(self, field: FieldDescriptorProto) -> Json:
        if field.type_name == _TIMESTAMP:
            return {"type": "string", "format": "date-time"}
        if field.type_name:
            return _reference(field.type_name)
        return dict(_PLAIN[field.type])

    def component(self, name: str) -> Json:
        """The schema of a message or an enum."""
        if name in self.enums:
            values = [value.name for value in self.enums[name].value]
            meanings = "".join(f"\n- `{value}`: {self.comments[f'{name}.{value}']}" for value in values)
            return {"type": "string", "enum": values, "description": self.comments[name] + meanings}
        message = self.messages[name]
        properties = {
            field.json_name: {**self.schema(field), "description": self.comments[f"{name}.{field.name}"]}
            for field in message.field
        }
        component: Json = {"type": "object", "description": self.comments[name]}
        component |= {"properties": properties} if properties else {}
        component["additionalProperties"] = False
        for i in range(len(message.oneof_decl)):
            members = [field for field in message.field if field.HasField("oneof_index") and field.oneof_index == i]
            if members[0].proto3_optional:
                continue
            if f"{name}.{message.oneof_decl[i].name}" in _MAY_BE_ABSENT:
                component["not"] = {"required": [field.json_name for field in members]}
            else:
                component["oneOf"] = [{"required": [field.json_name]} for field in members]
        return component

    def components(self, roots: list[str]) -> Json:
        """The schemas of everything that the roots lead to, by name."""
        found: Json = {}
        waiting = [PACKAGE + root for root in roots]
        while waiting:
            name = waiting.pop()
            if name.removeprefix(PACKAGE) not in found:
                found[name.removeprefix(PACKAGE)] = self.component(name)
                waiting += self._used_by(name)
        return dict(sorted(found.items()))

    def _used_by(self, name: str) -> Iterator[str]:
        for field in self.messages[name].field if name in self.messages else ():
            entry = self.messages.get(field.type_name)
            if entry is not None and entry.options.map_entry:
                yield from (one.type_name for one in entry.field if one.type_name)
            elif field.type_name and field.type_name != _TIMESTAMP:
                yield field.type_name

    def parameters(self, kind: type[Message]) -> list[Json]:
        """The query parameters that stand for the fields of a message."""
        name = f".{kind.DESCRIPTOR.full_name}"
        by_name = {field.name: field for field in self.messages[name].field}
        found = []
        for descriptor in parameter_fields(kind):
            field = by_name[descriptor.name]
            parameter: Json = {"name": descriptor.json_name, "in": "query", "description": self.comments[f"{name}.{field.name}"]}
            if field.label == _Field.LABEL_REPEATED:
                parameter["description"] += " Each is a JSON object; the parameter may be repeated."
                found.append(parameter | {"content": {"application/json": {"schema": self._schema_of_one(field)}}})
            else:
                found.append(parameter | {"schema": self.schema(field)})
        return found


def description(described: FileDescriptorSet) -> Json:
    """The OpenAPI 3.1 document, an example with every operation. Raises KeyError where one has no example."""
    document = _document(described)
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["x-codeSamples"] = [{"lang": "Shell", "source": EXAMPLES[operation["operationId"]]}]
    return document


def _document(described: FileDescriptorSet) -> Json:
    protos = _Schemas(described)

    def rpc(name: str, answer: str, **more: Any) -> Json:
        _, method = name.split(".")
        return {
            "operationId": more.pop("operation", method[0].lower() + method[1:]),
            "summary": protos.comments[PACKAGE + name],
            **more,
            "responses": {"200": {"description": "The answer.", "content": _json(_reference(PACKAGE + answer))}} | _error(),
        }

    where = [_in_path("collection", _COLLECTION), _in_path("photo_id", _PHOTO_ID)]
    size = {
        "name": "size",
        "in": "query",
        "description": "Pixels of the longer side.",
        "schema": {"type": "integer", "enum": list(SIZES), "default": DEFAULT_SIZE},
    }
    photo = {"required": True, "content": {kind: {} for kind in ("image/jpeg", "image/png", "image/webp")}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Miradouro",
            "version": "v1",
            "summary": "Search for photos by what they show.",
            "description": "The messages are those of the gRPC services, as the canonical JSON of protobuf: names may be given "
            "in lowerCamelCase or as in the protos, 64-bit numbers come as strings, and empty fields are written. Pages of other "
            "origins are not answered. Where the server was given tokens, each request shows one, as a bearer or as the "
            "password of any user; a server beyond its own machine always has some, and speaks TLS.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}, {"basic": []}],
        "paths": {
            "/v1/search": {
                "post": rpc(
                    "SearchService.Search",
                    "SearchResponse",
                    requestBody={"required": True, "content": _json(_reference(PACKAGE + "SearchRequest"))},
                )
            },
            "/v1/search/photo": {
                "post": rpc(
                    "SearchService.Search",
                    "SearchResponse",
                    operation="searchByPhoto",
                    description="Finds photos that look like the one in the body, an encoded photo as it is.",
                    parameters=protos.parameters(SearchRequest),
                    requestBody=photo,
                )
            },
            "/v1/photos/{collection}/{photo_id}": {
                "get": rpc("SearchService.GetPhoto", "GetPhotoResponse", parameters=where),
            },
            "/v1/stats": {"get": rpc("SearchService.Stats", "StatsResponse")},
            "/v1/events": {
                "post": rpc(
                    "IngestService.PutEvents",
                    "PutEventsResponse",
                    description="The body is at most 1 MiB: give a larger photo as a uri, or use gRPC. The query service of many "
                    "machines takes no events (FAILED_PRECONDITION): they go through Kafka.",
                    requestBody={"required": True, "content": _json(_reference(PACKAGE + "PutEventsRequest"))},
                )
            },
            "/v1/failures": {
                "get": rpc(
                    "IngestService.ListFailures", "ListFailuresResponse", parameters=protos.parameters(ListFailuresRequest)
                )
            },
            "/photos/{collection}/{photo_id}": {
                "get": _picture("original", "The original, as it is now.", "image/*", where),
            },
            "/thumbnails/{collection}/{photo_id}": {
                "get": _picture("thumbnail", "The photo as it was indexed, small and upright.", "image/jpeg", [*where, size]),
            },
        },
        "components": {
            "schemas": protos.components(["SearchRequest", "SearchResponse", "GetPhotoResponse", "StatsResponse"])
            | protos.components(["ListFailuresResponse", "PutEventsRequest", "PutEventsResponse"])
            | {"Error": _ERROR},
            "securitySchemes": {kind: {"type": "http", "scheme": kind} for kind in ("bearer", "basic")},
        },
    }


_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["status", "message"],
            "properties": {
                "status": {"type": "string", "description": "The gRPC status, for programs."},
                "message": {"type": "string", "description": "What was wrong, with which value, and what to do."},
                "field": {"type": "string", "description": "The argument that was wrong, in the proto's spelling."},
            },
        }
    },
}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name.removeprefix(PACKAGE)}"}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _error() -> Json:
    return {"default": {"description": "What was wrong.", "content": _json(_reference(PACKAGE + "Error"))}}


def _in_path(name: str, text: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}


def _picture(operation: str, summary: str, media_type: str, parameters: list[Json]) -> Json:
    responses: Json = {"200": {"description": "The picture.", "content": {media_type: {}}}}
    responses |= {"304": {"description": "The picture that If-None-Match names is still the one."}}
    return {"operationId": operation, "summary": summary, "parameters": parameters, "responses": responses | _error()}


def main() -> None:
    """Writes the document to standard output."""
    described = FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())
    sys.stdout.write(json.dumps(description(described), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
