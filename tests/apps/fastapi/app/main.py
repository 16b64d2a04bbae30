"""An API that does everything right."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import sentry_sdk
import sqlalchemy
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response

from app import telemetry

telemetry.start()
models = openai
engine = sqlalchemy.create_engine("sqlite://")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    sentry_sdk.flush(timeout=5)


app = FastAPI(lifespan=lifespan)


class OutOfStock(Exception):
    pass


@app.middleware("http")
async def context(request: Request, call_next) -> Response:
    sentry_sdk.set_tag("request_id", request.headers.get("x-request-id", ""))
    sentry_sdk.set_user({"id": "user-42"})
    return await call_next(request)


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
    sentry_sdk.capture_exception(error)
    return JSONResponse(status_code=503, content={"error": "out of stock"})


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    return {"order": number}


@app.websocket("/live")
async def live(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
