from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Fit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIT_UNSPECIFIED: _ClassVar[Fit]
    FIT_SQUASH: _ClassVar[Fit]
    FIT_SHORT_SIDE_CENTER_CROP: _ClassVar[Fit]

class ResizeFilter(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESIZE_FILTER_UNSPECIFIED: _ClassVar[ResizeFilter]
    RESIZE_FILTER_BILINEAR: _ClassVar[ResizeFilter]
    RESIZE_FILTER_BICUBIC: _ClassVar[ResizeFilter]

class Storage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STORAGE_UNSPECIFIED: _ClassVar[Storage]
    STORAGE_FLOAT16: _ClassVar[Storage]
    STORAGE_INT8: _ClassVar[Storage]

class Preset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESET_UNSPECIFIED: _ClassVar[Preset]
    PRESET_LEAN: _ClassVar[Preset]
    PRESET_STANDARD: _ClassVar[Preset]
    PRESET_LABORATORY: _ClassVar[Preset]

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_INTERACTIVE: _ClassVar[Priority]
    PRIORITY_BULK: _ClassVar[Priority]
FIT_UNSPECIFIED: Fit
FIT_SQUASH: Fit
FIT_SHORT_SIDE_CENTER_CROP: Fit
RESIZE_FILTER_UNSPECIFIED: ResizeFilter
RESIZE_FILTER_BILINEAR: ResizeFilter
RESIZE_FILTER_BICUBIC: ResizeFilter
STORAGE_UNSPECIFIED: Storage
STORAGE_FLOAT16: Storage
STORAGE_INT8: Storage
PRESET_UNSPECIFIED: Preset
PRESET_LEAN: Preset
PRESET_STANDARD: Preset
PRESET_LABORATORY: Preset
PRIORITY_UNSPECIFIED: Priority
PRIORITY_INTERACTIVE: Priority
PRIORITY_BULK: Priority

class DescribeSpacesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeSpacesResponse(_message.Message):
    __slots__ = ("bundles", "provider")
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    bundles: _containers.RepeatedCompositeFieldContainer[Bundle]
    provider: str
    def __init__(self, bundles: _Optional[_Iterable[_Union[Bundle, _Mapping]]] = ..., provider: _Optional[str] = ...) -> None: ...

class Bundle(_message.Message):
    __slots__ = ("name", "precision", "geometries", "spaces", "can_tag", "license", "attribution", "sha256", "label_table")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    GEOMETRIES_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    CAN_TAG_FIELD_NUMBER: _ClassVar[int]
    LICENSE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    LABEL_TABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    precision: str
    geometries: _containers.RepeatedCompositeFieldContainer[Geometry]
    spaces: _containers.RepeatedCompositeFieldContainer[Space]
    can_tag: bool
    license: str
    attribution: str
    sha256: str
    label_table: str
    def __init__(self, name: _Optional[str] = ..., precision: _Optional[str] = ..., geometries: _Optional[_Iterable[_Union[Geometry, _Mapping]]] = ..., spaces: _Optional[_Iterable[_Union[Space, _Mapping]]] = ..., can_tag: _Optional[bool] = ..., license: _Optional[str] = ..., attribution: _Optional[str] = ..., sha256: _Optional[str] = ..., label_table: _Optional[str] = ...) -> None: ...

class Geometry(_message.Message):
    __slots__ = ("fit", "width", "height", "short_side", "filter")
    FIT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SHORT_SIDE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    fit: Fit
    width: int
    height: int
    short_side: int
    filter: ResizeFilter
    def __init__(self, fit: _Optional[_Union[Fit, str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., short_side: _Optional[int] = ..., filter: _Optional[_Union[ResizeFilter, str]] = ...) -> None: ...

class Space(_message.Message):
    __slots__ = ("name", "dimension", "vectors_per_photo", "provenance", "preset", "regions", "is_default_pooling", "geometries", "storage", "clip")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    VECTORS_PER_PHOTO_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_POOLING_FIELD_NUMBER: _ClassVar[int]
    GEOMETRIES_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    CLIP_FIELD_NUMBER: _ClassVar[int]
    name: str
    dimension: int
    vectors_per_photo: int
    provenance: str
    preset: Preset
    regions: _containers.RepeatedCompositeFieldContainer[RegionBox]
    is_default_pooling: bool
    geometries: _containers.RepeatedScalarFieldContainer[int]
    storage: Storage
    clip: float
    def __init__(self, name: _Optional[str] = ..., dimension: _Optional[int] = ..., vectors_per_photo: _Optional[int] = ..., provenance: _Optional[str] = ..., preset: _Optional[_Union[Preset, str]] = ..., regions: _Optional[_Iterable[_Union[RegionBox, _Mapping]]] = ..., is_default_pooling: _Optional[bool] = ..., geometries: _Optional[_Iterable[int]] = ..., storage: _Optional[_Union[Storage, str]] = ..., clip: _Optional[float] = ...) -> None: ...

class RegionBox(_message.Message):
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

class EmbedRequest(_message.Message):
    __slots__ = ("photos", "spaces", "tags", "priority")
    PHOTOS_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    photos: _containers.RepeatedCompositeFieldContainer[PhotoInput]
    spaces: _containers.RepeatedScalarFieldContainer[str]
    tags: bool
    priority: Priority
    def __init__(self, photos: _Optional[_Iterable[_Union[PhotoInput, _Mapping]]] = ..., spaces: _Optional[_Iterable[str]] = ..., tags: _Optional[bool] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class PhotoInput(_message.Message):
    __slots__ = ("encoded", "tensors")
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    encoded: bytes
    tensors: Tensors
    def __init__(self, encoded: _Optional[bytes] = ..., tensors: _Optional[_Union[Tensors, _Mapping]] = ...) -> None: ...

class Tensors(_message.Message):
    __slots__ = ("tensors", "decode_recipe")
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    DECODE_RECIPE_FIELD_NUMBER: _ClassVar[int]
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    decode_recipe: int
    def __init__(self, tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., decode_recipe: _Optional[int] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("geometry", "pixels")
    GEOMETRY_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    geometry: Geometry
    pixels: bytes
    def __init__(self, geometry: _Optional[_Union[Geometry, _Mapping]] = ..., pixels: _Optional[bytes] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EmbedResult]
    def __init__(self, results: _Optional[_Iterable[_Union[EmbedResult, _Mapping]]] = ...) -> None: ...

class EmbedResult(_message.Message):
    __slots__ = ("embedding", "error")
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    embedding: PhotoEmbedding
    error: PhotoError
    def __init__(self, embedding: _Optional[_Union[PhotoEmbedding, _Mapping]] = ..., error: _Optional[_Union[PhotoError, _Mapping]] = ...) -> None: ...

class PhotoEmbedding(_message.Message):
    __slots__ = ("vectors", "labels", "photo_width", "photo_height")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PHOTO_WIDTH_FIELD_NUMBER: _ClassVar[int]
    PHOTO_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    vectors: _containers.RepeatedCompositeFieldContainer[SpaceVectors]
    labels: _containers.RepeatedCompositeFieldContainer[LabelProbability]
    photo_width: int
    photo_height: int
    def __init__(self, vectors: _Optional[_Iterable[_Union[SpaceVectors, _Mapping]]] = ..., labels: _Optional[_Iterable[_Union[LabelProbability, _Mapping]]] = ..., photo_width: _Optional[int] = ..., photo_height: _Optional[int] = ...) -> None: ...

class SpaceVectors(_message.Message):
    __slots__ = ("space", "dimension", "values", "provenance")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    space: str
    dimension: int
    values: bytes
    provenance: str
    def __init__(self, space: _Optional[str] = ..., dimension: _Optional[int] = ..., values: _Optional[bytes] = ..., provenance: _Optional[str] = ...) -> None: ...

class LabelProbability(_message.Message):
    __slots__ = ("label", "probability", "label_index", "table")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LABEL_INDEX_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    label_index: int
    table: str
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., label_index: _Optional[int] = ..., table: _Optional[str] = ...) -> None: ...

class PhotoError(_message.Message):
    __slots__ = ("reason", "message", "retriable")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRIABLE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    retriable: bool
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., retriable: _Optional[bool] = ...) -> None: ...
