"""The agent task on LangGraph with SQLite checkpoints, each step durable before the next.

Usage: langgraph_sqlite.py HOST:PORT DIR, with the model's address and a directory for the database.
Prints "ready", then takes lines "CONCURRENCY SECONDS" and answers each with one line of JSON. The
agent runs inside this process, which is how the library is used; the tool is a local function.
"""
import asyncio
import json
import os
import sys
import time
import uuid

os.environ["OPENAI_API_KEY"] = "none"
os.environ["LANGSMITH_TRACING"] = "false"

import aiosqlite
import uvloop
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

MODEL, DIRECTORY = sys.argv[1], sys.argv[2]
INPUT = "Add the numbers one after another, please."
EXPECTED = "42"


@tool
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


async def build():
    connection = await aiosqlite.connect(os.path.join(DIRECTORY, "checkpoints.db"))
    saver = AsyncSqliteSaver(connection)
    await saver.setup()
    model = ChatOpenAI(model="mock", base_url=f"http://{MODEL}/v1", max_retries=0)
    return create_agent(model, [add], checkpointer=saver)


async def invoke(agent):
    session = {"configurable": {"thread_id": uuid.uuid4().hex}}
    question = {"messages": [{"role": "user", "content": INPUT}]}
    state = await agent.ainvoke(question, session, durability="sync")
    answer = state["messages"][-1].content
    if EXPECTED not in answer:
        raise SystemExit(f"a wrong answer: {answer!r}")


async def drive(agent, concurrency, seconds):
    began = time.perf_counter()
    millis = []

    async def work():
        while time.perf_counter() < began + seconds:
            start = time.perf_counter()
            await invoke(agent)
            millis.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    took = time.perf_counter() - began
    millis.sort()
    at = lambda quantile: round(millis[min(len(millis) - 1, int(len(millis) * quantile))], 3)
    return {
        "concurrency": concurrency,
        "invocations": len(millis),
        "per_s": round(len(millis) / took, 3),
        "p50_ms": at(0.50),
        "p99_ms": at(0.99),
    }


def main():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        agent = runner.run(build())
        runner.run(invoke(agent))
        print("ready", flush=True)
        for line in sys.stdin:
            concurrency, seconds = line.split()
            figures = runner.run(drive(agent, int(concurrency), float(seconds)))
            print(json.dumps(figures), flush=True)
        # The saver's thread would keep the process.
        os._exit(0)


main()
