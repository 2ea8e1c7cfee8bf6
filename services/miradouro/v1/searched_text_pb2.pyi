from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TermOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TERM_ORIGIN_UNSPECIFIED: _ClassVar[TermOrigin]
    TERM_ORIGIN_EXACT: _ClassVar[TermOrigin]
    TERM_ORIGIN_INFLECTION: _ClassVar[TermOrigin]
    TERM_ORIGIN_SYNONYM: _ClassVar[TermOrigin]
    TERM_ORIGIN_PARENT: _ClassVar[TermOrigin]
    TERM_ORIGIN_SPELLING: _ClassVar[TermOrigin]
    TERM_ORIGIN_COMPLETION: _ClassVar[TermOrigin]
TERM_ORIGIN_UNSPECIFIED: TermOrigin
TERM_ORIGIN_EXACT: TermOrigin
TERM_ORIGIN_INFLECTION: TermOrigin
TERM_ORIGIN_SYNONYM: TermOrigin
TERM_ORIGIN_PARENT: TermOrigin
TERM_ORIGIN_SPELLING: TermOrigin
TERM_ORIGIN_COMPLETION: TermOrigin

class UnderstoodWord(_message.Message):
    __slots__ = ("word", "terms")
    WORD_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    word: str
    terms: _containers.RepeatedCompositeFieldContainer[SearchedTerm]
    def __init__(self, word: _Optional[str] = ..., terms: _Optional[_Iterable[_Union[SearchedTerm, _Mapping]]] = ...) -> None: ...

class SearchedTerm(_message.Message):
    __slots__ = ("text", "origin", "weight")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    text: str
    origin: TermOrigin
    weight: float
    def __init__(self, text: _Optional[str] = ..., origin: _Optional[_Union[TermOrigin, str]] = ..., weight: _Optional[float] = ...) -> None: ...

class TextPart(_message.Message):
    __slots__ = ("text", "is_match")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IS_MATCH_FIELD_NUMBER: _ClassVar[int]
    text: str
    is_match: bool
    def __init__(self, text: _Optional[str] = ..., is_match: _Optional[bool] = ...) -> None: ...
