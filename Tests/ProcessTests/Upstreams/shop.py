"""A shop that knows nothing of idempotency keys: every POST that reaches it is one more order."""

import asyncio

import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()
orders = []


async def take(request: Request) -> dict:
    order = {
        "id": len(orders) + 1,
        "body": (await request.body()).decode(),
        "attempt": request.headers.get("X-Idempotency-Attempt"),
    }
    orders.append(order)
    return order


@app.post("/orders", status_code=201)
async def add_order(request: Request, response: Response, status: int = 201):
    order = await take(request)
    response.status_code = status
    response.headers["Location"] = f"/orders/{order['id']}"
    response.headers.append("X-Part", "b")
    response.headers.append("X-Part", "a")
    return order


@app.post("/slow-orders", status_code=201)
async def add_slow_order(request: Request, seconds: float):
    order = await take(request)
    await asyncio.sleep(seconds)
    return order


@app.post("/webhooks/github", status_code=202)
async def hook(request: Request):
    return await take(request)


@app.get("/orders")
async def all_orders():
    return orders


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=0)
