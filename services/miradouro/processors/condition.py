"""The `if` of a step: a condition on the photo's fields. The text is parsed, never executed.

    media_type == "image/png"
    collection in ["trips", "scans"] and not ("private" in tags)
    width >= 4000 or attributes["camera"] == "Leica Q3"
    "rating" in attributes

    condition = test | not condition | condition and condition | condition or condition | ( condition )
    test      = field == value | field != value | field in [value, …] | field not in [value, …]
              | number < value, also <=, >, >= | value in tags | value in attributes | field
    field     = a text: collection, photo_id, uri, media_type, owner, title, caption, attributes["NAME"];
                a number: width, height, version; a set: tags, attributes

A field alone is true when it is neither empty nor 0. Values are texts in quotes, or whole numbers. Fields that no step has filled
yet, and missing attributes, are empty or 0. `media_type` is detected from the first bytes after `fetch`. `tags` are the
uploader's until the step `tag`. `title`, `caption` and `attributes` are those of the event or of a step.
"""

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.sniff import sniff

MAX_CONDITION_CHARS = 1_000

Value = str | int
_Read = Callable[[PhotoInProgress], Value]
_Test = Callable[[PhotoInProgress], bool]


class BadCondition(ValueError):
    """The text is not a condition. The message names the column, the mistake and the allowed values."""


@dataclass(frozen=True)
class Condition:
    """A parsed condition: its text, and the predicate over a photo."""

    text: str
    holds: _Test


def _media_type(photo: PhotoInProgress) -> str:
    if photo.decoded is not None:
        return photo.decoded.media_type
    found = sniff(photo.data) if photo.data is not None else None
    return found.value if found else photo.event.media_type


def _attributes(photo: PhotoInProgress) -> Mapping[str, str]:
    return {**photo.event.attributes, **photo.attributes}


TEXTS: dict[str, Callable[[PhotoInProgress], str]] = {
    "collection": lambda photo: photo.event.collection,
    "photo_id": lambda photo: photo.event.photo_id,
    "uri": lambda photo: photo.event.uri,
    "media_type": _media_type,
    "owner": lambda photo: photo.event.owner,
    "title": lambda photo: photo.event.title,
    "caption": lambda photo: photo.caption or photo.event.caption,
}
NUMBERS: dict[str, Callable[[PhotoInProgress], int]] = {
    "width": lambda photo: photo.decoded.width if photo.decoded else 0,
    "height": lambda photo: photo.decoded.height if photo.decoded else 0,
    "version": lambda photo: photo.event.version,
}
SETS: dict[str, Callable[[PhotoInProgress], Collection[str]]] = {
    "tags": lambda photo: [tag.label for tag in photo.tags] or photo.event.tags,
    "attributes": lambda photo: _attributes(photo),
}
_FIELDS = f'{", ".join([*TEXTS, *NUMBERS, *SETS])}, attributes["NAME"]'
_ORDERS: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Lt: lambda one, other: one < other,
    ast.LtE: lambda one, other: one <= other,
    ast.Gt: lambda one, other: one > other,
    ast.GtE: lambda one, other: one >= other,
}


def parse_condition(text: str) -> Condition:
    """Parses `text`. Raises BadCondition."""
    if len(text) > MAX_CONDITION_CHARS:
        raise BadCondition(f"it has {len(text):,} characters; allowed: {MAX_CONDITION_CHARS:,}")
    try:
        # Uses only Python's parser: the tree is checked below and never executed.
        tree = ast.parse(text.strip(), mode="eval")
        return Condition(text, _test(tree.body))
    except SyntaxError as exc:
        raise BadCondition(f'column {exc.offset or 1}: {exc.msg}; for example: media_type == "image/png"') from exc
    except (RecursionError, MemoryError, ValueError) as exc:
        if isinstance(exc, BadCondition):
            raise
        raise BadCondition(f"it can't be read ({exc}); write a simpler one") from exc


def _test(node: ast.expr) -> _Test:
    match node:
        case ast.BoolOp(op=operator, values=values):
            tests = [_test(value) for value in values]
            every = isinstance(operator, ast.And)
            return lambda photo: (all if every else any)(test(photo) for test in tests)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _test(operand)
            return lambda photo: not inner(photo)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return _comparison(node, left, operator, right)
        case ast.Name(id=name) if name in SETS:
            members = SETS[name]
            return lambda photo: bool(members(photo))
        case ast.Name() | ast.Subscript():
            read, _ = _field(node)
            return lambda photo: bool(read(photo))
    raise _wrong(node, "no condition; write tests of fields, joined by and, or, not")


def _comparison(node: ast.expr, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> _Test:
    if isinstance(operator, ast.In | ast.NotIn):
        wanted = isinstance(operator, ast.In)
        test = _membership(left, right)
        return lambda photo: test(photo) is wanted
    read, kind = _field(left)
    value = _value(right, kind)
    if isinstance(operator, ast.Eq | ast.NotEq):
        equal = isinstance(operator, ast.Eq)
        return lambda photo: (read(photo) == value) is equal
    order = _ORDERS.get(type(operator))
    if order is None:
        raise _wrong(node, "no comparison; allowed: ==, !=, in, not in, and <, <=, >, >= of numbers")
    if kind is not int:
        raise _wrong(node, f"texts have no order here; allowed: ==, !=, in; numbers are {', '.join(NUMBERS)}")
    return lambda photo: order(int(read(photo)), int(value))


def _membership(left: ast.expr, right: ast.expr) -> _Test:
    if isinstance(right, ast.Name) and right.id in SETS:
        members, wanted = SETS[right.id], _value(left, str)
        return lambda photo: wanted in members(photo)
    if not isinstance(right, ast.List):
        raise _wrong(right, f"nothing to be in; allowed: a list of values in brackets, {', '.join(SETS)}")
    read, kind = _field(left)
    values = [_value(element, kind) for element in right.elts]
    return lambda photo: read(photo) in values


def _field(node: ast.expr) -> tuple[_Read, type[Value]]:
    match node:
        case ast.Name(id=name) if name in TEXTS:
            return TEXTS[name], str
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name], int
        case ast.Subscript(value=ast.Name(id="attributes"), slice=ast.Constant(value=str(name))):
            return lambda photo: _attributes(photo).get(name, ""), str
    raise _wrong(node, f"{ast.unparse(node)} is no field to compare; allowed: {_FIELDS}")


def _value(node: ast.expr, kind: type[Value]) -> Value:
    if isinstance(node, ast.Constant) and type(node.value) is kind:
        return kind(node.value)
    allowed = "a text in quotes" if kind is str else "a whole number"
    raise _wrong(node, f"{ast.unparse(node)} can't be compared here; allowed: {allowed}")


def _wrong(node: ast.expr, what: str) -> BadCondition:
    return BadCondition(f"column {node.col_offset + 1}: {what}")
