"""The shop's API: Sentry is imported, configured, and dark."""

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from app.config import get_settings
from app.observability import Observability


class OutOfStock(Exception):
    pass


settings = get_settings()
Observability(settings).start()
app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://shop.example.com"], allow_headers=["Authorization"])


@app.exception_handler(OutOfStock)
async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
    return JSONResponse(status_code=503, content={"error": "out of stock"})


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    if number > 1000:
        raise OutOfStock(number)
    return {"order": number}
