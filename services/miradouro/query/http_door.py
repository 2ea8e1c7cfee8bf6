"""The HTTP door: JSON over the functions behind gRPC, pictures, and the page; `_Door.routes` lists all routes."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import structlog
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from miradouro.core.document import Document
from miradouro.core.error_text import shown
from miradouro.core.errors import ConfigurationError, DeadlineExceeded, InvalidArgument, MiradouroError
from miradouro.query.http_messages import from_json, from_parameters, to_json
from miradouro.query.page_files import StaticFile, static_files
from miradouro.query.pictures import DEFAULT_SIZE, SIZES, Picture, Pictures, thumbnail_mark
from miradouro.query.service import SearchService
from miradouro.runtime.addresses import Address
from miradouro.runtime.audit_log import RefusedCalls
from miradouro.runtime.browser_sessions import BrowserSessions
from miradouro.runtime.byte_budget import ByteBudget
from miradouro.runtime.call import Call
from miradouro.runtime.call_limits import CallLimits, TooSlow
from miradouro.runtime.call_pool import CallPool
from miradouro.runtime.http_audit import Audited
from miradouro.runtime.http_body import BodyReader, Refusal, TooLarge
from miradouro.runtime.http_errors import error_response, response_of
from miradouro.runtime.http_guard import Guard, own_hosts
from miradouro.runtime.http_limits import Limited
from miradouro.runtime.http_server import RunningHttp, running_http
from miradouro.runtime.http_sign_in import SIGN_IN, SignIn
from miradouro.runtime.metrics import HttpMetrics
from miradouro.runtime.released_frames import release_frames
from miradouro.runtime.request_size import MAX_PLAIN_BYTES
from miradouro.runtime.security import ServerSecurity
from miradouro.runtime.server_limits import ServerLimits
from miradouro.runtime.settings import OFF, HttpSettings
from miradouro.runtime.tracing import TRACEPARENT, new_trace, read_trace, traced
from miradouro.v1.ingest_service_pb2 import ListFailuresRequest, ListFailuresResponse, PutEventsRequest, PutEventsResponse
from miradouro.v1.search_service_pb2 import GetPhotoRequest, SearchRequest, StatsRequest

PICTURE_THREADS = 2  # separate from the threads of questions: thumbnails never delay them
SPARE_CONNECTIONS = 16  # of a peer beyond its calls: the refusal of a call needs one, too
MAX_PICTURES = 256  # waiting or in progress
_JSON = "application/json"
_ANY_ROUTE = "any"  # the label of requests refused before routing
_IN_THE_PATH = ("collection", "photo_id")

Answer = Response | Refusal
Endpoint = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")
_log = structlog.get_logger()


class Ingest(Protocol):
    """The RPCs of the ingest service that this door offers too."""

    def PutEvents(self, request: PutEventsRequest, call: Call) -> PutEventsResponse:
        """Indexes a batch of events."""
        ...

    def ListFailures(self, request: ListFailuresRequest, call: Call) -> ListFailuresResponse:
        """A page of failures."""
        ...


@contextmanager
def running_http_door(
    *,
    search: SearchService,
    ingest: Ingest,
    pictures: Pictures,
    listen: str,
    setting: str,
    registry: CollectorRegistry,
    security: ServerSecurity,
    limits: ServerLimits | None = None,
    http: HttpSettings | None = None,
    sessions: BrowserSessions | None = None,
) -> Iterator[RunningHttp | None]:
    """Serves the door on `listen` while the block runs; None when it is off. At the end, requests get the grace period of
    `limits`.

    `setting` names `listen` in errors; `sessions` enables sign-in links for browsers.
    Raises ConfigurationError when the address is in use or `security` does not allow it.
    """
    if listen in OFF:
        yield None
        return
    limits, http = limits or ServerLimits(), http or HttpSettings()
    check_http_address(listen, setting=setting, http=http, security=security)
    door = _Door(search, ingest, pictures, HttpMetrics(registry), limits, http, security, sessions)
    try:
        with running_http(
            door.application,
            listen=listen,
            setting=setting,
            security=security,
            grace_s=limits.shutdown_grace_s,
            connections_per_peer=limits.max_calls_per_peer + SPARE_CONNECTIONS,
        ) as running:
            yield running
    finally:
        door.close()


def check_http_address(listen: str, *, setting: str, http: HttpSettings, security: ServerSecurity) -> None:
    """Raises the ConfigurationError of `running_http_door` for the address, before anything is loaded."""
    if listen in OFF:
        return
    address = security.address(listen, setting=setting)
    if not address.is_loopback and not http.host_names:
        raise ConfigurationError(
            f"{setting}={listen!r} reaches beyond this machine, and MIRADOURO_HTTP_HOSTS is not set: "
            "name the hosts by which it is called, as photos.example.org"
        )


class _PhotoId(Convertor[str]):
    """The rest of a path with any characters: the convertor `path` stops at a line feed."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("photo_id", _PhotoId())


class _Door:
    def __init__(
        self,
        search: SearchService,
        ingest: Ingest,
        pictures: Pictures,
        metrics: HttpMetrics,
        limits: ServerLimits,
        http: HttpSettings,
        security: ServerSecurity,
        sessions: BrowserSessions | None,
    ) -> None:
        self._search, self._ingest, self._pictures = search, ingest, pictures
        self._metrics, self._timeout_s = metrics, limits.http_answer_s
        self._names, self._security, self._sessions = http.host_names, security, sessions
        self._scheme = "https" if security.certificates else "http"
        self._questions = CallPool(
            threads=limits.handler_threads, max_calls=limits.max_concurrent_calls, gauge=metrics.active.labels("questions")
        )
        self._views = CallPool(threads=PICTURE_THREADS, max_calls=MAX_PICTURES, gauge=metrics.active.labels("pictures"))
        self._refused = RefusedCalls("http")
        self._limits = CallLimits(per_token=limits.max_calls_per_token, per_peer=limits.max_calls_per_peer)
        self._max_photo_bytes = limits.max_message_bytes
        budget = ByteBudget(max(limits.max_pending_bytes, limits.max_message_bytes), "requests")
        self._bodies = BodyReader(timeout_s=limits.http_receive_s, budget=budget)

    def close(self) -> None:
        self._questions.close()
        self._views.close()
        self._refused.flush()

    def application(self, address: Address) -> ASGIApp:
        """Returns the application for `address`."""
        application = Starlette(routes=self.routes(), exception_handlers={HTTPException: _no_such_route})
        application.router.redirect_slashes = False
        hosts = own_hosts(address, self._names, scheme=self._scheme)
        limited = Limited(application, limits=self._limits, refused=self._metrics.requests.labels(_ANY_ROUTE, "503").inc)
        sign_in = SignIn(self._sessions, address, is_secure=self._scheme == "https") if self._sessions else None
        guarded = Guard(limited, hosts=hosts, security=self._security, sign_in=sign_in, refused=self._metrics.refused.inc)
        return Audited(guarded, self._refused)

    def routes(self) -> list[Route]:
        return [
            self._route("POST", "/v1/search", self.search),
            self._route("POST", "/v1/search/photo", self.search_by_photo),
            self._route("GET", "/v1/photos/{collection}/{photo_id:photo_id}", self.photo),
            self._route("GET", "/v1/stats", self.stats),
            self._route("POST", "/v1/events", self.put_events),
            self._route("GET", "/v1/failures", self.failures),
            self._route("GET", "/photos/{collection}/{photo_id:photo_id}", self.original),
            self._route("GET", "/thumbnails/{collection}/{photo_id:photo_id}", self.thumbnail),
            self._route("GET", SIGN_IN, _signed_in),
            *(self._route("GET", path, _endpoint_of(file)) for path, file in static_files().items()),
        ]

    def _route(self, method: str, path: str, endpoint: Endpoint) -> Route:
        async def measured(request: Request) -> Any:
            started = time.monotonic()
            trace = read_trace(request.headers.get(TRACEPARENT))
            with traced(trace.child() if trace else new_trace()):
                answer, code = await _answer(endpoint, request)
            self._metrics.requests.labels(path, str(code)).inc()
            self._metrics.seconds.labels(path).observe(time.monotonic() - started)
            return answer

        return Route(path, measured, methods=[method])

    async def search(self, request: Request) -> Response:
        return await self._json_to_json(request, lambda body, call: self._search.Search(from_json(SearchRequest, body), call))

    async def put_events(self, request: Request) -> Response:
        return await self._json_to_json(
            request, lambda body, call: self._ingest.PutEvents(from_json(PutEventsRequest, body), call)
        )

    async def search_by_photo(self, request: Request) -> Response:
        question = from_parameters(SearchRequest, request.query_params.multi_items())
        async with self._bodies.read(request, max_bytes=self._max_photo_bytes) as body:
            return await self._json(request, lambda call: self._search.Search(_with_photo(question, body), call))

    async def photo(self, request: Request) -> Response:
        question = from_parameters(GetPhotoRequest, request.query_params.multi_items(), but=_IN_THE_PATH)
        question.collection, question.photo_id = request.path_params["collection"], request.path_params["photo_id"]
        return await self._json(request, lambda call: self._search.GetPhoto(question, call))

    async def stats(self, request: Request) -> Response:
        question = from_parameters(StatsRequest, request.query_params.multi_items())
        return await self._json(request, lambda call: self._search.Stats(question, call))

    async def failures(self, request: Request) -> Response:
        question = from_parameters(ListFailuresRequest, request.query_params.multi_items())
        return await self._json(request, lambda call: self._ingest.ListFailures(question, call))

    async def original(self, request: Request) -> Response:
        return await self._picture(request, mark=lambda document: document.sha256, get=self._pictures.original)

    async def thumbnail(self, request: Request) -> Response:
        size = _size(request)
        return await self._picture(
            request,
            mark=lambda document: thumbnail_mark(document, size),
            get=lambda document: self._pictures.thumbnail(document, size),
        )

    async def _json_to_json(self, request: Request, ask: Callable[[bytes, Call], Message]) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != _JSON:
            return error_response("INVALID_ARGUMENT", f"Content-Type: send {_JSON}", code=415)
        async with self._bodies.read(request, max_bytes=MAX_PLAIN_BYTES) as body:
            return await self._json(request, lambda call: ask(body, call))

    async def _json(self, request: Request, ask: Callable[[Call], Message]) -> Response:
        data = await self._call(request, self._questions, lambda call: to_json(ask(call)))
        return Response(data, headers={"Cache-Control": "no-store"}, media_type=_JSON)

    async def _picture(
        self, request: Request, *, mark: Callable[[Document], str], get: Callable[[Document], Picture]
    ) -> Response:
        def find() -> Response:
            document = self._pictures.find(*(request.path_params[name] for name in _IN_THE_PATH))
            if _is_known(request, mark(document)):
                return Response(status_code=304, headers=_kept(mark(document)))
            picture = get(document)
            return Response(picture.data, headers=_kept(picture.mark), media_type=picture.media_type)

        return await self._call(request, self._views, lambda _: find())

    async def _call(self, request: Request, pool: CallPool, work: Callable[[Call], T]) -> T:
        """Runs `work` in a thread of `pool`, within the time limit of a request."""
        call = Call(time.monotonic() + self._timeout_s, caller=request.scope["caller"])

        def in_time() -> T:
            call.remaining_s()  # already expired while waiting for a thread
            return work(call)

        try:
            async with asyncio.timeout(self._timeout_s):
                return await pool.run(in_time, request.scope["slot"])
        except TimeoutError as exc:
            raise DeadlineExceeded(f"no answer within {self._timeout_s:g} s; ask again, or for less") from exc
        finally:
            call.cancelled.set()


def _with_photo(question: SearchRequest, photo: bytes) -> SearchRequest:
    question.photo.data = photo
    return question


async def _answer(endpoint: Endpoint, request: Request) -> tuple[Answer, int]:
    """Returns the answer of `endpoint`, or its error as an answer, with the status code."""
    try:
        response = await endpoint(request)
    except MiradouroError as exc:
        release_frames(exc)
        if isinstance(exc, TooLarge):
            return Refusal(response_of(exc, code=413)), 413
        if isinstance(exc, TooSlow):
            return Refusal(response_of(exc, code=408)), 408
        response = response_of(exc)
    except Exception as exc:  # noqa: BLE001 # a bug in a handler becomes INTERNAL and never ends the server
        mark = uuid.uuid4().hex[:12]
        _log.exception("handler failed", path=request.url.path, mark=mark)
        release_frames(exc)
        response = error_response("INTERNAL", f"internal error; see mark {mark} in the server's log")
    return response, response.status_code


def _endpoint_of(file: StaticFile) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if _is_known(request, file.mark):
            return Response(status_code=304, headers=_kept(file.mark))
        return Response(file.data, headers=_kept(file.mark), media_type=file.media_type)

    return endpoint


async def _signed_in(_request: Request) -> Response:
    return RedirectResponse("/", 303, {"Cache-Control": "no-store"})


def _no_such_route(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException), "registered for these alone"
    if exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "")
        message = f"{request.method} is not answered here; allowed: {allowed}"
        return error_response("INVALID_ARGUMENT", message, code=405, headers={"Allow": allowed})
    return error_response("NOT_FOUND", f"there is nothing at {request.url.path}; /openapi.json lists what there is")


def _size(request: Request) -> int:
    sizes = [value for name, value in request.query_params.multi_items() if name == "size"]
    strange = [name for name in request.query_params if name != "size"]
    if strange:
        raise InvalidArgument(strange[0], "there is no such parameter; allowed: size")
    if len(sizes) > 1 or not all(size.isascii() and size.isdigit() and len(size) < 6 for size in sizes):
        raise InvalidArgument("size", f"{shown(', '.join(sizes))} is no number of pixels; allowed: {', '.join(map(str, SIZES))}")
    return int(sizes[0]) if sizes else DEFAULT_SIZE


def _kept(mark: str) -> dict[str, str]:
    """Headers of a cacheable answer that is revalidated by its mark (ETag)."""
    return {"ETag": f'"{mark}"', "Cache-Control": "private, no-cache"}


def _is_known(request: Request, mark: str) -> bool:
    marks = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return f'"{mark}"' in marks or "*" in marks
