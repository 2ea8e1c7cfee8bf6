"""Errors as JSON: {"error": {"status", "message"}}, with "field" where an argument is wrong."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from miradouro.core.error_text import error_text
from miradouro.core.errors import InvalidArgument, MiradouroError
from miradouro.runtime.rpc import HTTP_CODES

RETRY_AFTER_S = 1


def error_response(
    status: str, message: str, *, field: str = "", code: int = 0, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer with the error; `code` is that of `status` unless given."""
    described = {"status": status, "message": error_text(message)} | ({"field": field} if field else {})
    code = code or HTTP_CODES[status]
    retry = {"Retry-After": str(RETRY_AFTER_S)} if code == 503 else {}
    return JSONResponse({"error": described}, code, {"Cache-Control": "no-store", **retry, **(headers or {})})


def response_of(error: MiradouroError, *, code: int = 0) -> JSONResponse:
    """The answer with `error`; `code` is that of its status unless given."""
    return error_response(error.status, error.message, field=error.field if isinstance(error, InvalidArgument) else "", code=code)
