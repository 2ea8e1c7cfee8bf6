"""Writes the lower part of docs/http-api.md from the OpenAPI description; `make protos` runs it.

python -m tools.http_page OPENAPI_JSON PAGE OUT
"""

import json
import sys
from pathlib import Path
from typing import Any

from tools.generated_page import row, table, write_page

Json = dict[str, Any]


def text(described: Json) -> str:
    """Every operation with its parameters, its body, its answer and an example."""
    return "".join(
        _operation(method.upper(), path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    )


def _operation(method: str, path: str, operation: Json) -> str:
    parts = [f"## {method} {path}\n\n{operation['summary']}\n\n"]
    if "description" in operation:
        parts.append(f"{operation['description']}\n\n")
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            row(f"`{one['name']}`", f"{_type(one)}, in the {'path' if one['in'] == 'path' else 'query'}", one["description"])
            for one in parameters
        ]
        parts.append(table("parameter", "type", "meaning", rows=rows))
    if "requestBody" in operation:
        parts.append(f"Body: {_content(operation['requestBody']['content'])}. ")
    parts.append(f"Answer: {_content(operation['responses']['200']['content'])}.\n\n")
    [sample] = operation["x-codeSamples"]
    parts.append(f"<!-- test: http -->\n```sh\n{sample['source']}\n```\n\n")
    return "".join(parts)


def _content(content: Json) -> str:
    kinds = [f"{_schema(one['schema'])} as JSON" if "schema" in one else f"`{kind}`" for kind, one in content.items()]
    return " or ".join(kinds)


def _type(parameter: Json) -> str:
    if "content" in parameter:
        return f"{_schema(parameter['content']['application/json']['schema'])} as JSON"
    schema = parameter["schema"]
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"])) + f" ({schema['default']} when not set)"
    return _schema(schema)


def _schema(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](grpc-api.md#{name.lower()})"
    return str(schema["type"])


def main() -> None:
    """Writes the page."""
    described, page, out = map(Path, sys.argv[1:])
    write_page(page, lambda: text(json.loads(described.read_text(encoding="utf-8"))), out=out)


if __name__ == "__main__":
    main()
