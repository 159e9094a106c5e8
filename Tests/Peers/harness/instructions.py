"""What a request tells the operation behind either peer to do, so that both run the same one."""

import asyncio
import json
import time

from harness.upstream import Response

# The fields of a request that say so.
STATUS, DELAY, SIZE, FIELDS = "x-test-status", "x-test-delay", "x-test-size", "x-test-fields"


def response(fields, number):
    """The response to a request with these fields, whose names are in lower case, in the execution of this number."""
    body = b"x" * int(fields[SIZE]) if SIZE in fields else json.dumps({"execution": number}).encode()
    return Response(int(fields.get(STATUS, 201)), json.loads(fields.get(FIELDS, "[]")), body)


def delay(fields):
    return float(fields.get(DELAY, 0))


def respond(request, number):
    """For the upstream of the proxy."""
    fields = {name.lower(): value for name, value in request.fields}
    time.sleep(delay(fields))
    return response(fields, number)


class Application:
    """For the middleware of idemkit: an ASGI application that counts."""

    def __init__(self):
        self.executions = 0

    async def __call__(self, scope, receive, send):
        self.executions += 1
        fields = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        made = response(fields, self.executions)
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(delay(fields))
        headers = [(name.encode(), value.encode()) for name, value in made.fields]
        await send({"type": "http.response.start", "status": made.status, "headers": headers})
        await send({"type": "http.response.body", "body": made.body})
