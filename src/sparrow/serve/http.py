"""Speak OpenAI's API over HTTP: routes, bodies, streams and errors, nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sparrow.language import _
from sparrow.serve import metrics, page
from sparrow.serve.api import Api, Job
from sparrow.serve.refusal import Refusal, as_refusal
from sparrow.serve.schema import Asked, Chat, Completion, read
from sparrow.serve.worker import Listener

__all__ = ["make_app"]

BODY_BYTES = 2**21  # a book; no model here reads more
LINGER_S = 5.0  # how long the rest of a body that is too large may come
GONE = 499  # what servers log when nobody waits for the answer any more
# The page carries all it needs, and speaks to nobody but us.
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
)
T = TypeVar("T")


def make_app(api: Api) -> FastAPI:
    """The whole server, for any ASGI runner."""
    # No documentation pages: FastAPI's load scripts from another host.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        ask = await _read(Chat, request)
        return await _answer(api, await _prepare(api.chat, ask), ask.stream, request)

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        ask = await _read(Completion, request)
        job = await _prepare(api.completion, ask)
        return await _answer(api, job, ask.stream, request)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [api.card()]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        api.check_model(name)
        return api.card()

    _add_pages(app, api)
    for kind in (Exception, Refusal, HTTPException, ClientDisconnect):
        app.add_exception_handler(kind, _say_no)
    app.add_middleware(_Count, api=api)
    return app


def _add_pages(app: FastAPI, api: Api) -> None:
    """What people and machines look at, beside the API."""

    @app.get("/")
    async def chat_page() -> Response:
        policy = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
        return FileResponse(page.FILE, headers=policy)

    @app.get("/page.json")
    async def page_words() -> dict[str, Any]:
        return {"model": api.card(), **page.words(api.tokenizer)}

    @app.get("/health")
    async def health() -> Response:
        stats, closing = api.worker.stats, api.worker.is_closing
        told = {
            "status": "closing" if closing else "ok",
            "waiting": stats.waiting,
            "running": stats.running,
            "blocks_used": stats.blocks_used,
            "blocks_total": stats.blocks_total,
        }
        return JSONResponse(told, status_code=503 if closing else 200)

    @app.get("/metrics")
    async def prometheus() -> Response:
        return Response(api.metrics.page(), media_type=metrics.CONTENT_TYPE)


async def _read(kind: type[Asked], request: Request) -> Asked:
    """The body, if it is JSON and not too large; too large a one is not read."""
    # A page of another site may send text unasked, but not JSON.
    content_type = request.headers.get("content-type", "").split(";")[0].strip()
    if content_type != "application/json":
        raise Refusal(
            _("send JSON, and say so: Content-Type: application/json."),
            status=415,
            code="unsupported_media_type",
        )
    told = request.headers.get("content-length", "")
    body = bytearray()
    if not (told.isdecimal() and int(told) > BODY_BYTES):
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                break
        else:
            return read(kind, bytes(body))
    raise Refusal(
        _("the body is larger than {most} bytes, the most.", most=BODY_BYTES),
        status=413,
        code="body_too_large",
    )


async def _prepare(prepare: Any, ask: Any) -> Job:
    """Encode beside the event loop: a long prompt must not hold up other people."""
    job: Job = await asyncio.to_thread(prepare, ask)
    return job


async def _answer(
    api: Api, job: Job, stream: bool | None, request: Request
) -> Response:
    """Run a job; whoever goes away while it runs frees what it has."""
    listener = await api.worker.submit(job.asks)
    if stream:
        return EventStream(_events(api, job, listener), listener)
    try:
        return JSONResponse(
            await _unless_gone(request.receive, api.whole(job, listener))
        )
    finally:
        listener.close()


async def _events(api: Api, job: Job, listener: Listener) -> AsyncIterator[bytes]:
    """Pieces as server-sent events."""
    try:
        async for pieces in api.pieces(job, listener):
            yield b"".join(map(_event, pieces))
        yield b"data: [DONE]\n\n"
    except Exception as error:  # the status is long sent, so the stream says it
        yield _event(as_refusal(error).to_dict())


def _event(told: dict[str, Any]) -> bytes:
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return b"data: %s\n\n" % text.encode()


class EventStream(StreamingResponse):
    """A stream that wants nothing any more as soon as nobody reads it."""

    def __init__(self, events: AsyncIterator[bytes], listener: Listener) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the reader is gone."""
        try:
            await _unless_gone(receive, self.stream_response(send))
        except ClientDisconnect:
            pass  # there is nobody to tell
        finally:
            self._listener.close()


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do some work while the client is there.

    Raises:
        ClientDisconnect: it went away first.
    """

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _say_no(_request: Request, error: Exception) -> Response:
    """Any error in OpenAI's shape."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=GONE)
    if isinstance(error, HTTPException):
        error = Refusal(
            _("this path or method is not served: {reason}.", reason=error.detail),
            status=error.status_code,
        )
    refusal = as_refusal(error)
    kind = _Lingering if refusal.status == 413 else JSONResponse
    return kind(refusal.to_dict(), status_code=refusal.status, headers=refusal.headers)


class _Lingering(JSONResponse):
    """An answer to a body that is still coming.

    A connection closed with bytes unread is reset, and the client may never see the
    answer. So what comes is let fall for a while, and only then the connection ends.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": headers})
        body = {"type": "http.response.body", "body": self.body}
        await send({**body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})


class _Count:
    """Count every answer by path and status."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app, self._api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the status as it goes by."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The route's own path: a name that somebody made up is no label.
                path = getattr(scope.get("route"), "path", "other")
                count = self._api.metrics.requests
                count.labels(path, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, watched)
