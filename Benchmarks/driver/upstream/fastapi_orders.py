"""The same handler on FastAPI, bare and behind the idemptx that Idemptx succeeds."""

import os

import redis.asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from idemptx import idempotent
from idemptx.backend import AsyncRedisBackend, InMemoryBackend
from pydantic import BaseModel

app = FastAPI()
executions = 0


class NewOrder(BaseModel):
    item: str
    quantity: int
    amount: int
    currency: str


def place(order: NewOrder) -> JSONResponse:
    global executions
    executions += 1
    return JSONResponse(
        {"id": 1_000_000_000, "item": order.item, "amount": order.amount, "currency": order.currency}, status_code=201)


@app.post("/bare/orders")
async def bare(request: Request, order: NewOrder):
    return place(order)


@app.post("/memory/orders")
@idempotent(storage_backend=InMemoryBackend(), key_ttl=86_400)
async def in_memory(request: Request, order: NewOrder):
    return place(order)


@app.post("/redis/orders")
@idempotent(
    storage_backend=AsyncRedisBackend(redis.asyncio.from_url(os.environ["BENCHMARK_REDIS"])), key_ttl=86_400)
async def in_redis(request: Request, order: NewOrder):
    return place(order)


@app.get("/executions")
async def count():
    return executions
