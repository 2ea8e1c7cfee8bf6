import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from miradouro.v1 import photo_event_pb2 as _photo_event_pb2
from miradouro.v1 import searched_text_pb2 as _searched_text_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SortOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SORT_ORDER_UNSPECIFIED: _ClassVar[SortOrder]
    SORT_ORDER_RELEVANCE: _ClassVar[SortOrder]
    SORT_ORDER_TAKEN: _ClassVar[SortOrder]

class FacetField(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FACET_FIELD_UNSPECIFIED: _ClassVar[FacetField]
    FACET_FIELD_TAG: _ClassVar[FacetField]
    FACET_FIELD_OWNER: _ClassVar[FacetField]
    FACET_FIELD_YEAR: _ClassVar[FacetField]
    FACET_FIELD_CAMERA: _ClassVar[FacetField]

class TagKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TAG_KIND_UNSPECIFIED: _ClassVar[TagKind]
    TAG_KIND_LABEL: _ClassVar[TagKind]
    TAG_KIND_PARENT: _ClassVar[TagKind]
    TAG_KIND_USER: _ClassVar[TagKind]
    TAG_KIND_LEARNED: _ClassVar[TagKind]
SORT_ORDER_UNSPECIFIED: SortOrder
SORT_ORDER_RELEVANCE: SortOrder
SORT_ORDER_TAKEN: SortOrder
FACET_FIELD_UNSPECIFIED: FacetField
FACET_FIELD_TAG: FacetField
FACET_FIELD_OWNER: FacetField
FACET_FIELD_YEAR: FacetField
FACET_FIELD_CAMERA: FacetField
TAG_KIND_UNSPECIFIED: TagKind
TAG_KIND_LABEL: TagKind
TAG_KIND_PARENT: TagKind
TAG_KIND_USER: TagKind
TAG_KIND_LEARNED: TagKind

class SearchRequest(_message.Message):
    __slots__ = ("collection", "keyword", "text", "photo", "like", "everything", "filters", "space", "limit", "page_token", "max_distance", "exact", "sort", "facets", "more")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PHOTO_FIELD_NUMBER: _ClassVar[int]
    LIKE_FIELD_NUMBER: _ClassVar[int]
    EVERYTHING_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MAX_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    keyword: KeywordQuery
    text: TextQuery
    photo: ExampleQuery
    like: LikeQuery
    everything: EverythingQuery
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    space: str
    limit: int
    page_token: str
    max_distance: float
    exact: bool
    sort: SortOrder
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    more: bool
    def __init__(self, collection: _Optional[str] = ..., keyword: _Optional[_Union[KeywordQuery, _Mapping]] = ..., text: _Optional[_Union[TextQuery, _Mapping]] = ..., photo: _Optional[_Union[ExampleQuery, _Mapping]] = ..., like: _Optional[_Union[LikeQuery, _Mapping]] = ..., everything: _Optional[_Union[EverythingQuery, _Mapping]] = ..., filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ..., space: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., max_distance: _Optional[float] = ..., exact: _Optional[bool] = ..., sort: _Optional[_Union[SortOrder, str]] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class Facet(_message.Message):
    __slots__ = ("field", "size")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    field: FacetField
    size: int
    def __init__(self, field: _Optional[_Union[FacetField, str]] = ..., size: _Optional[int] = ...) -> None: ...

class EverythingQuery(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class KeywordQuery(_message.Message):
    __slots__ = ("words",)
    WORDS_FIELD_NUMBER: _ClassVar[int]
    words: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, words: _Optional[_Iterable[str]] = ...) -> None: ...

class TextQuery(_message.Message):
    __slots__ = ("text", "is_typing")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IS_TYPING_FIELD_NUMBER: _ClassVar[int]
    text: str
    is_typing: bool
    def __init__(self, text: _Optional[str] = ..., is_typing: _Optional[bool] = ...) -> None: ...

class ExampleQuery(_message.Message):
    __slots__ = ("data", "region")
    DATA_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    region: _photo_event_pb2.Region
    def __init__(self, data: _Optional[bytes] = ..., region: _Optional[_Union[_photo_event_pb2.Region, _Mapping]] = ...) -> None: ...

class LikeQuery(_message.Message):
    __slots__ = ("photo_id", "region")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    region: _photo_event_pb2.Region
    def __init__(self, photo_id: _Optional[str] = ..., region: _Optional[_Union[_photo_event_pb2.Region, _Mapping]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("tag", "owner", "attribute", "taken", "near", "box", "file_name_prefix")
    TAG_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    NOT_FIELD_NUMBER: _ClassVar[int]
    tag: str
    owner: str
    attribute: AttributeFilter
    taken: TakenFilter
    near: NearFilter
    box: BoxFilter
    file_name_prefix: str
    def __init__(self, tag: _Optional[str] = ..., owner: _Optional[str] = ..., attribute: _Optional[_Union[AttributeFilter, _Mapping]] = ..., taken: _Optional[_Union[TakenFilter, _Mapping]] = ..., near: _Optional[_Union[NearFilter, _Mapping]] = ..., box: _Optional[_Union[BoxFilter, _Mapping]] = ..., file_name_prefix: _Optional[str] = ..., **kwargs) -> None: ...

class AttributeFilter(_message.Message):
    __slots__ = ("name", "values")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class TakenFilter(_message.Message):
    __slots__ = ("until", "local_from", "local_until")
    FROM_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FROM_FIELD_NUMBER: _ClassVar[int]
    LOCAL_UNTIL_FIELD_NUMBER: _ClassVar[int]
    until: _timestamp_pb2.Timestamp
    local_from: str
    local_until: str
    def __init__(self, until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., local_from: _Optional[str] = ..., local_until: _Optional[str] = ..., **kwargs) -> None: ...

class NearFilter(_message.Message):
    __slots__ = ("center", "radius_m")
    CENTER_FIELD_NUMBER: _ClassVar[int]
    RADIUS_M_FIELD_NUMBER: _ClassVar[int]
    center: _photo_event_pb2.GeoPoint
    radius_m: float
    def __init__(self, center: _Optional[_Union[_photo_event_pb2.GeoPoint, _Mapping]] = ..., radius_m: _Optional[float] = ...) -> None: ...

class BoxFilter(_message.Message):
    __slots__ = ("south_west", "north_east")
    SOUTH_WEST_FIELD_NUMBER: _ClassVar[int]
    NORTH_EAST_FIELD_NUMBER: _ClassVar[int]
    south_west: _photo_event_pb2.GeoPoint
    north_east: _photo_event_pb2.GeoPoint
    def __init__(self, south_west: _Optional[_Union[_photo_event_pb2.GeoPoint, _Mapping]] = ..., north_east: _Optional[_Union[_photo_event_pb2.GeoPoint, _Mapping]] = ...) -> None: ...

class NotFilter(_message.Message):
    __slots__ = ("filters",)
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "total", "total_is_exact", "truncated", "exact", "took_ms", "next_page_token", "facets", "mixed_in", "whole_photos", "understood")
    HITS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOTAL_IS_EXACT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    TOOK_MS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    MIXED_IN_FIELD_NUMBER: _ClassVar[int]
    WHOLE_PHOTOS_FIELD_NUMBER: _ClassVar[int]
    UNDERSTOOD_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    total: int
    total_is_exact: bool
    truncated: bool
    exact: bool
    took_ms: float
    next_page_token: str
    facets: _containers.RepeatedCompositeFieldContainer[FacetCounts]
    mixed_in: _containers.RepeatedScalarFieldContainer[str]
    whole_photos: bool
    understood: _containers.RepeatedCompositeFieldContainer[_searched_text_pb2.UnderstoodWord]
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., total: _Optional[int] = ..., total_is_exact: _Optional[bool] = ..., truncated: _Optional[bool] = ..., exact: _Optional[bool] = ..., took_ms: _Optional[float] = ..., next_page_token: _Optional[str] = ..., facets: _Optional[_Iterable[_Union[FacetCounts, _Mapping]]] = ..., mixed_in: _Optional[_Iterable[str]] = ..., whole_photos: _Optional[bool] = ..., understood: _Optional[_Iterable[_Union[_searched_text_pb2.UnderstoodWord, _Mapping]]] = ...) -> None: ...

class FacetCounts(_message.Message):
    __slots__ = ("field", "counts", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: FacetField
    counts: _containers.RepeatedCompositeFieldContainer[FacetCount]
    values: int
    def __init__(self, field: _Optional[_Union[FacetField, str]] = ..., counts: _Optional[_Iterable[_Union[FacetCount, _Mapping]]] = ..., values: _Optional[int] = ...) -> None: ...

class FacetCount(_message.Message):
    __slots__ = ("value", "photos")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    value: str
    photos: int
    def __init__(self, value: _Optional[str] = ..., photos: _Optional[int] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("photo_id", "uri", "score", "distance", "space", "tags", "caption", "caption_is_generated", "region", "title", "taken_at", "title_parts", "caption_parts")
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CAPTION_IS_GENERATED_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_AT_FIELD_NUMBER: _ClassVar[int]
    TITLE_PARTS_FIELD_NUMBER: _ClassVar[int]
    CAPTION_PARTS_FIELD_NUMBER: _ClassVar[int]
    photo_id: str
    uri: str
    score: float
    distance: float
    space: str
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    caption: str
    caption_is_generated: bool
    region: _photo_event_pb2.Region
    title: str
    taken_at: _photo_event_pb2.TakenAt
    title_parts: _containers.RepeatedCompositeFieldContainer[_searched_text_pb2.TextPart]
    caption_parts: _containers.RepeatedCompositeFieldContainer[_searched_text_pb2.TextPart]
    def __init__(self, photo_id: _Optional[str] = ..., uri: _Optional[str] = ..., score: _Optional[float] = ..., distance: _Optional[float] = ..., space: _Optional[str] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., caption: _Optional[str] = ..., caption_is_generated: _Optional[bool] = ..., region: _Optional[_Union[_photo_event_pb2.Region, _Mapping]] = ..., title: _Optional[str] = ..., taken_at: _Optional[_Union[_photo_event_pb2.TakenAt, _Mapping]] = ..., title_parts: _Optional[_Iterable[_Union[_searched_text_pb2.TextPart, _Mapping]]] = ..., caption_parts: _Optional[_Iterable[_Union[_searched_text_pb2.TextPart, _Mapping]]] = ...) -> None: ...

class Tag(_message.Message):
    __slots__ = ("label", "score", "kind")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    kind: TagKind
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ..., kind: _Optional[_Union[TagKind, str]] = ...) -> None: ...

class GetPhotoRequest(_message.Message):
    __slots__ = ("collection", "photo_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    photo_id: str
    def __init__(self, collection: _Optional[str] = ..., photo_id: _Optional[str] = ...) -> None: ...

class GetPhotoResponse(_message.Message):
    __slots__ = ("photo",)
    PHOTO_FIELD_NUMBER: _ClassVar[int]
    photo: Photo
    def __init__(self, photo: _Optional[_Union[Photo, _Mapping]] = ...) -> None: ...

class Photo(_message.Message):
    __slots__ = ("collection", "photo_id", "version", "uri", "media_type", "sha256", "perceptual_hash", "width", "height", "title", "caption", "caption_is_generated", "tags", "owner", "attributes", "place", "taken_at", "spaces")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PHOTO_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PERCEPTUAL_HASH_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    CAPTION_IS_GENERATED_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_AT_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    collection: str
    photo_id: str
    version: int
    uri: str
    media_type: str
    sha256: str
    perceptual_hash: str
    width: int
    height: int
    title: str
    caption: str
    caption_is_generated: bool
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    owner: str
    attributes: _containers.ScalarMap[str, str]
    place: _photo_event_pb2.GeoPoint
    taken_at: _photo_event_pb2.TakenAt
    spaces: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[str] = ..., photo_id: _Optional[str] = ..., version: _Optional[int] = ..., uri: _Optional[str] = ..., media_type: _Optional[str] = ..., sha256: _Optional[str] = ..., perceptual_hash: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., title: _Optional[str] = ..., caption: _Optional[str] = ..., caption_is_generated: _Optional[bool] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ..., owner: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., place: _Optional[_Union[_photo_event_pb2.GeoPoint, _Mapping]] = ..., taken_at: _Optional[_Union[_photo_event_pb2.TakenAt, _Mapping]] = ..., spaces: _Optional[_Iterable[str]] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatsResponse(_message.Message):
    __slots__ = ("collections", "bytes")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[CollectionStats]
    bytes: int
    def __init__(self, collections: _Optional[_Iterable[_Union[CollectionStats, _Mapping]]] = ..., bytes: _Optional[int] = ...) -> None: ...

class CollectionStats(_message.Message):
    __slots__ = ("name", "root", "photos", "deleted", "failed", "spaces", "preset")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    name: str
    root: str
    photos: int
    deleted: int
    failed: int
    spaces: _containers.RepeatedCompositeFieldContainer[SpaceStats]
    preset: str
    def __init__(self, name: _Optional[str] = ..., root: _Optional[str] = ..., photos: _Optional[int] = ..., deleted: _Optional[int] = ..., failed: _Optional[int] = ..., spaces: _Optional[_Iterable[_Union[SpaceStats, _Mapping]]] = ..., preset: _Optional[str] = ...) -> None: ...

class SpaceStats(_message.Message):
    __slots__ = ("name", "dimension", "provenance", "vectors")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    dimension: int
    provenance: str
    vectors: int
    def __init__(self, name: _Optional[str] = ..., dimension: _Optional[int] = ..., provenance: _Optional[str] = ..., vectors: _Optional[int] = ...) -> None: ...
