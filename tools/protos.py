"""The protos as protoc describes them: services, messages and enums in their order, with their comments.

The descriptor set comes from protoc with --include_source_info: the generated Python code has lost the comments.
"""

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

PACKAGE = ".miradouro.v1."


class Protos:
    """Services, messages and enums by full name with a leading dot; comments by the full name of what they describe."""

    def __init__(self, described: FileDescriptorSet) -> None:
        self.services: dict[str, ServiceDescriptorProto] = {}
        self.messages: dict[str, DescriptorProto] = {}
        self.enums: dict[str, EnumDescriptorProto] = {}
        self.comments: dict[str, str] = {}
        for file in described.file:
            self._read(file)

    def _read(self, file: FileDescriptorProto) -> None:
        comments = {tuple(one.path): " ".join(one.leading_comments.split()) for one in file.source_code_info.location}
        prefix = f".{file.package}."
        for i, message in enumerate(file.message_type):
            self._read_message(message, prefix, (4, i), comments)
        for i, enum in enumerate(file.enum_type):
            name = prefix + enum.name
            self.enums[name], self.comments[name] = enum, comments.get((5, i), "")
            self.comments |= {f"{name}.{value.name}": comments.get((5, i, 2, j), "") for j, value in enumerate(enum.value)}
        for i, service in enumerate(file.service):
            name = prefix + service.name
            self.services[name], self.comments[name] = service, comments.get((6, i), "")
            self.comments |= {f"{name}.{method.name}": comments.get((6, i, 2, j), "") for j, method in enumerate(service.method)}

    def _read_message(
        self, message: DescriptorProto, prefix: str, path: tuple[int, ...], comments: dict[tuple[int, ...], str]
    ) -> None:
        name = prefix + message.name
        self.messages[name], self.comments[name] = message, comments.get(path, "")
        self.comments |= {f"{name}.{one.name}": comments.get((*path, 2, j), "") for j, one in enumerate(message.field)}
        for i, inner in enumerate(message.nested_type):
            self._read_message(inner, f"{name}.", (*path, 3, i), comments)
