"""Writes the lower part of docs/grpc-api.md from the protos, comments included; `make protos` runs it.

python -m tools.grpc_page DESCRIPTOR_SET PAGE OUT
"""

import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet

from tools.generated_page import row, table, write_page
from tools.protos import PACKAGE, Protos

_Field = FieldDescriptorProto


class _Page:
    def __init__(self, protos: Protos) -> None:
        self._protos = protos

    def text(self) -> str:
        """The services with their RPCs, then all messages and enums in alphabetical order."""
        parts = [self._service(name) for name in self._protos.services]
        own = sorted(name for name in (*self._protos.messages, *self._protos.enums) if self._is_shown(name))
        parts.append("## Messages and enums\n\n")
        for name in own:
            message = self._protos.messages.get(name)
            parts.append(self._message(name, message) if message is not None else self._enum(name, self._protos.enums[name]))
        return "".join(parts)

    def _is_shown(self, name: str) -> bool:
        message = self._protos.messages.get(name)
        return name.startswith(PACKAGE) and not (message is not None and message.options.map_entry)

    def _service(self, name: str) -> str:
        text = f"## {name.removeprefix(PACKAGE)}\n\n{self._protos.comments[name]}\n\n"
        rows = [
            row(
                f"`{method.name}`",
                _link(method.input_type),
                ("stream of " if method.server_streaming else "") + _link(method.output_type),
                self._protos.comments[f"{name}.{method.name}"],
            )
            for method in self._protos.services[name].method
        ]
        return text + table("RPC", "request", "response", "what it does", rows=rows)

    def _message(self, name: str, message: DescriptorProto) -> str:
        text = f"### {name.removeprefix(PACKAGE)}\n\n{self._protos.comments[name]}\n\n"
        rows = [
            row(f"`{field.name}`", self._type(message, field), self._protos.comments[f"{name}.{field.name}"])
            for field in message.field
        ]
        return text + (table("field", "type", "meaning", rows=rows) if rows else "")

    def _enum(self, name: str, enum: EnumDescriptorProto) -> str:
        text = f"### {name.removeprefix(PACKAGE)}\n\n{self._protos.comments[name]}\n\n"
        return text + table(
            "value", "meaning", rows=[row(f"`{one.name}`", self._protos.comments[f"{name}.{one.name}"]) for one in enum.value]
        )

    def _type(self, message: DescriptorProto, field: FieldDescriptorProto) -> str:
        entry = self._protos.messages.get(field.type_name)
        if entry is not None and entry.options.map_entry:
            return f"map of {_plain(entry.field[0])} to {_plain(entry.field[1])}"
        if field.label == _Field.LABEL_REPEATED:
            return f"list of {_plain(field)}"
        if field.proto3_optional:
            return f"optional {_plain(field)}"
        if field.HasField("oneof_index"):
            return f"{_plain(field)}, one of `{message.oneof_decl[field.oneof_index].name}`"
        return _plain(field)


def _plain(field: FieldDescriptorProto) -> str:
    return _link(field.type_name) if field.type_name else _Field.Type.Name(field.type).removeprefix("TYPE_").lower()


def _link(name: str) -> str:
    short = name.removeprefix(PACKAGE)
    return f"[{short}](#{short.lower()})" if name.startswith(PACKAGE) else f"`{name.lstrip('.')}`"


def main() -> None:
    """Writes the page."""
    descriptors, page, out = map(Path, sys.argv[1:])
    protos = Protos(FileDescriptorSet.FromString(descriptors.read_bytes()))
    write_page(page, _Page(protos).text, out=out)


if __name__ == "__main__":
    main()
