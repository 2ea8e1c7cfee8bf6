import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PhotoEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHOTO_EVENT_KIND_UNSPECIFIED: _ClassVar[PhotoEventKind]
    PHOTO_EVENT_KIND_UPLOADED: _ClassVar[PhotoEventKind]
    PHOTO_EVENT_KIND_UPDATED: _ClassVar[PhotoEventKind]
    PHOTO_EVENT_KIND_DELETED: _ClassVar[PhotoEventKind]
PHOTO_EVENT_KIND_UNSPECIFIED: PhotoEventKind
PHOTO_EVENT_KIND_UPLOADED: PhotoEventKind
PHOTO_EVENT_KIND_UPDATED: PhotoEventKind
PHOTO_EVENT_KIND_DELETED: PhotoEventKind

class PhotoEvent(_message.Message):
    __slots__ = ("event_id", "kind", "collection", "photo_id", "version", "uri", "data", "media_type", "sha256", "title", "caption", "tags", "owner", "attributes", "place", "taken_at")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_AT_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    kind: PhotoEventKind
    collection: str
    photo_id: str
    version: int
    uri: str
    data: bytes
    media_type: str
    sha256: str
    title: str
    caption: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    owner: str
    attributes: _containers.ScalarMap[str, str]
    place: GeoPoint
    taken_at: TakenAt
    def __init__(self, event_id: _Optional[str] = ..., kind: _Optional[_Union[PhotoEventKind, str]] = ..., collection: _Optional[str] = ..., photo_id: _Optional[str] = ..., version: _Optional[int] = ..., uri: _Optional[str] = ..., data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., sha256: _Optional[str] = ..., title: _Optional[str] = ..., caption: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., owner: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., place: _Optional[_Union[GeoPoint, _Mapping]] = ..., taken_at: _Optional[_Union[TakenAt, _Mapping]] = ...) -> None: ...

class GeoPoint(_message.Message):
    __slots__ = ("latitude", "longitude")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ...) -> None: ...

class TakenAt(_message.Message):
    __slots__ = ("instant", "utc_offset_minutes")
    INSTANT_FIELD_NUMBER: _ClassVar[int]
    UTC_OFFSET_MINUTES_FIELD_NUMBER: _ClassVar[int]
    instant: _timestamp_pb2.Timestamp
    utc_offset_minutes: int
    def __init__(self, instant: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., utc_offset_minutes: _Optional[int] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    width: float
    height: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...
