"""Stand around every call: say who calls, hold the limits, turn errors into statuses, count and log.

Health and reflection are open to whoever reaches the port; everything of ours needs a token. A call is logged by its method,
code and duration, never by what it carries.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo

from goldenthread.graph.errors import StoreUnavailable
from goldenthread.server.access import Caller, Verifier, check_role, enter_caller
from goldenthread.server.contract import PACKAGE, request_type, role_for
from goldenthread.server.errors import ServerError, ShuttingDown, abort_with, code_of
from goldenthread.server.limits import Limiter
from goldenthread.server.logs import logger
from goldenthread.server.malformed import Malformed, lenient
from goldenthread.server.metrics import Metrics
from goldenthread.v1.record_service_pb2 import (
    BatchUpsertRecordsRequest,
    BatchUpsertRecordsResponse,
    UpsertRecordRequest,
    UpsertRecordResponse,
)

__all__ = ["CallInterceptor", "Gate", "LateServices", "WholeWrites"]

_log = logger()
_PREFIX: Final = f"/{PACKAGE}."
_WATCH: Final = "/grpc.health.v1.Health/Watch"
_SUBSCRIBE: Final = f"{_PREFIX}EventService/Subscribe"

Request = TypeVar("Request")
Response = TypeVar("Response")
Context: TypeAlias = grpc.aio.ServicerContext[Message, Message]
Handler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"


class Gate:
    """Whether the server is open: not yet while the store was never reached, no more once it stops."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.opened = asyncio.Event()
        self.stopping = asyncio.Event()


class LateServices(grpc.GenericRpcHandler):
    """Our services' handlers, which are there only once the store was reached: a started server takes no new ones itself.

    It stands in for the server where services register.
    """

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Take the handlers of a service."""
        self._handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Message, Message]]
    ) -> None:
        """Take the same handlers in gRPC's other form, which is not needed."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Message, Message] | None:
        """Find the handler of a call."""
        found = (handler.service(handler_call_details) for handler in self._handlers)
        return next((handler for handler in found if handler is not None), None)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wrap the handlers of our services, of all four kinds."""

    def __init__(self, verifier: Verifier, limiter: Limiter, metrics: Metrics, gate: Gate) -> None:
        self._verifier, self._limiter, self._metrics, self._gate = verifier, limiter, metrics, gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is not None and handler_call_details.method == _WATCH:
            return cast("grpc.RpcMethodHandler[Request, Response]", self._ending_watch(cast(Handler, handler)))
        if not handler_call_details.method.startswith(_PREFIX):
            return handler
        if handler is None:
            return None if self._gate.opened.is_set() else self._away()
        wrapped = self._wrapped(cast(Handler, handler), _Call(handler_call_details))
        return cast("grpc.RpcMethodHandler[Request, Response]", wrapped)

    def _wrapped(self, handler: Handler, call: _Call) -> Handler:
        reader = lenient(request_type(call.method))
        codec = {"request_deserializer": reader, "response_serializer": handler.response_serializer}
        if handler.response_streaming:
            answer = self._streaming(handler, call)
            if handler.request_streaming:
                return grpc.stream_stream_rpc_method_handler(answer, **codec)  # type: ignore[arg-type]  # types-grpcio knows no aio handlers
            return grpc.unary_stream_rpc_method_handler(answer, **codec)  # type: ignore[arg-type]  # types-grpcio knows no aio handlers
        single = self._single(handler, call)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(single, **codec)  # type: ignore[arg-type]  # types-grpcio knows no aio handlers
        return grpc.unary_unary_rpc_method_handler(single, **codec)  # type: ignore[arg-type]  # types-grpcio knows no aio handlers

    def _single(self, handler: Handler, call: _Call) -> Callable[[object, Context], Awaitable[Message]]:
        behaviour = cast(
            "Callable[[object, Context], Awaitable[Message]]",
            handler.stream_unary if handler.request_streaming else handler.unary_unary,
        )

        async def answer(asked: object, context: Context) -> Message:
            async with self._around(call, context) as caller:
                response = await behaviour(self._admitted(call, caller, asked), context)
                self._count(response)
                return response
            raise AssertionError("the call was aborted")

        return answer

    def _streaming(self, handler: Handler, call: _Call) -> Callable[[object, Context], AsyncIterator[Message]]:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        if not inspect.isasyncgenfunction(behaviour):
            raise TypeError(f"{call.method} must be an async generator")
        responses = cast("Callable[[object, Context], AsyncIterator[Message]]", behaviour)

        async def answer(asked: object, context: Context) -> AsyncIterator[Message]:
            async with self._around(call, context) as caller:
                answers = responses(self._admitted(call, caller, asked), context)
                # Following never ends by itself: it would hold a server that stops for the whole grace.
                async for response in self._until_stopping(answers) if call.method == _SUBSCRIBE else answers:
                    self._count(response)
                    yield response
                if call.ending is not None:
                    raise call.ending

        return answer

    def _admitted(self, call: _Call, caller: Caller, asked: object) -> object:
        """Hold what is asked to the limit of records: a message at once, a stream as it is read."""
        if isinstance(asked, Malformed):
            raise asked.error
        if isinstance(asked, Message):
            if isinstance(asked, UpsertRecordRequest):
                self._limiter.admit_records(caller, 1)
            return asked
        return self._read(call, caller, cast("AsyncIterator[Message | Malformed]", asked))

    async def _read(self, call: _Call, caller: Caller, messages: AsyncIterator[Message | Malformed]) -> AsyncIterator[Message]:
        """Read a stream until it ends, can't be read or the server stops; what was read before is still answered."""
        stopping = asyncio.ensure_future(self._gate.stopping.wait())
        try:
            while True:
                following = asyncio.ensure_future(anext(messages, None))
                await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.add_done_callback(_forget)
                    call.ending = ShuttingDown()
                    return
                message = following.result()
                if message is None:
                    return
                if isinstance(message, Malformed):
                    call.ending = message.error
                    return
                if isinstance(message, BatchUpsertRecordsRequest):
                    await self._limiter.slow_records(caller, len(message.requests))
                yield message
        finally:
            stopping.cancel()

    async def _until_stopping(self, responses: AsyncIterator[Message]) -> AsyncIterator[Message]:
        stopping = asyncio.ensure_future(self._gate.stopping.wait())
        try:
            while True:
                following = asyncio.ensure_future(anext(responses, None))
                try:
                    await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not following.done():
                        following.cancel()
                        following.add_done_callback(_forget)
                if stopping.done():
                    raise ShuttingDown
                response = following.result()
                if response is None:
                    return
                yield response
        finally:
            stopping.cancel()

    def _count(self, response: Message) -> None:
        """Count records by outcome."""
        if isinstance(response, UpsertRecordResponse):
            self._metrics.records_put("changed" if response.changed else "unchanged")
        elif isinstance(response, BatchUpsertRecordsResponse):
            outcomes: dict[str, int] = {}
            for result in response.results:
                if result.HasField("error"):
                    outcome = _reason_of(result.error.details)
                else:
                    outcome = "changed" if result.response.changed else "unchanged"
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
            for outcome, count in outcomes.items():
                self._metrics.records_put(outcome, count)

    @asynccontextmanager
    async def _around(self, call: _Call, context: Context) -> AsyncIterator[Caller]:
        started = time.perf_counter()
        code = "OK"
        self._metrics.call_started()
        try:
            if self._gate.stopping.is_set():
                raise ShuttingDown
            caller = await self._verifier.verify(call.authorization)
            check_role(caller, role_for(call.method))
            enter_caller(caller)
            with self._limiter.call(caller):
                yield caller
        except (asyncio.CancelledError, GeneratorExit):
            remaining = context.time_remaining()
            code = "DEADLINE_EXCEEDED" if remaining is not None and remaining <= 0 else "CANCELLED"
            raise
        except grpc.aio.AbortError:
            code = "ABORTED_BY_HANDLER"
            raise
        except Exception as error:  # noqa: BLE001 - the one place where every error becomes a status
            code = code_of(error).name
            await abort_with(context, error)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.call_ended(call.method, code, seconds)
            _log.log(
                logging.DEBUG if code == "OK" else logging.INFO,
                "call",
                call=call.method,
                code=code,
                duration_ms=round(seconds * 1000, 2),
            )

    def _ending_watch(self, handler: Handler) -> Handler:
        """End watching health when the server stops: a watcher would otherwise hold it for the whole grace."""
        watch = cast("Callable[[object, WholeWrites], Awaitable[None]]", handler.unary_stream)

        async def answer(asked: object, context: Context) -> None:
            writes = WholeWrites(context)
            watching = asyncio.ensure_future(watch(asked, writes))
            stopping = asyncio.ensure_future(self._gate.stopping.wait())
            try:
                await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                watching.cancel()
                stopping.cancel()
            await writes.end()

        return grpc.unary_stream_rpc_method_handler(
            answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _away(self) -> grpc.RpcMethodHandler[Request, Response]:
        """Answer calls that come before the store was reached."""
        store = self._gate.store

        async def answer(_asked: object, context: Context) -> AsyncIterator[Message]:
            await abort_with(context, StoreUnavailable(store, "it was not reached yet"))
            yield Message()

        return cast("grpc.RpcMethodHandler[Request, Response]", grpc.stream_stream_rpc_method_handler(answer))


class WholeWrites:
    """A call's context that leaves no write half done: gRPC can't end a call that still writes, which would then stay open."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._writing: asyncio.Future[None] | None = None

    async def write(self, message: Message) -> None:
        """Write to the end, even when who writes is cancelled."""
        self._writing = asyncio.ensure_future(self._context.write(message))
        await asyncio.shield(self._writing)

    async def end(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)  # one that failed says that the caller is gone


class _Call:
    """What the interceptor knows of one call."""

    def __init__(self, details: grpc.HandlerCallDetails) -> None:
        self.method = details.method
        self.ending: ServerError | None = None
        self.authorization: str | None = None
        for key, value in details.invocation_metadata or ():
            if key == "authorization" and isinstance(value, str):
                self.authorization = value


def _reason_of(details: object) -> str:
    for detail in cast("list[object]", details):
        info = ErrorInfo()
        if detail.Unpack(info):  # type: ignore[attr-defined]  # an Any message
            return info.reason
    return "error"


def _forget(task: asyncio.Future[Message | Malformed | None] | asyncio.Future[Message | None]) -> None:
    """Look at a read that nobody waits for any more, so that its end is not reported as lost."""
    if not task.cancelled():
        task.exception()
