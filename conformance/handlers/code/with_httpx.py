import asyncio
import os
import ssl

import httpx

trusted = ssl.create_default_context(cafile=os.environ["CA"])


async def order_all(orders):
    async with httpx.AsyncClient(base_url=os.environ["SHOP"], verify=trusted) as client:
        answers = await asyncio.gather(*(client.post("/orders", json={"id": o}) for o in orders))
    return [answer.raise_for_status().json() for answer in answers]


def handler(event, context):
    first, *_ = asyncio.run(order_all([event["order"], "second", "third"]))
    return first
