"""The agent task on Python's agent libraries, in their own process as they are used.

Usage: libraries.py PEER HOST:PORT DIR, with the model's address and a directory for what is stored.
Prints "ready", then takes lines "CONCURRENCY SECONDS" and answers each with one line of JSON. The
tool is a local function. A peer is one function below that returns `invoke() -> text`.
"""
import asyncio
import json
import logging
import os
import subprocess
import sys
import time
import uuid

logging.disable(logging.WARNING)
os.environ.update(
    OPENAI_API_KEY="none", LANGSMITH_TRACING="false", OPENAI_AGENTS_DISABLE_TRACING="1", OTEL_SDK_DISABLED="true",
    AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true",
)

import uvloop

PEER, MODEL, DIRECTORY = sys.argv[1:4]
INPUT = "Add the numbers one after another, please."
INSTRUCTION = "You add numbers. Use the tool for each addition, one after another, and give the sum."
EXPECTED = "42"
# Connections of the PostgreSQL saver's pool.
POOL = 20


def langgraph(saver):
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    model = ChatOpenAI(model="mock", base_url=f"http://{MODEL}/v1", max_retries=0)
    agent = create_agent(model, [add], system_prompt=INSTRUCTION, checkpointer=saver)

    async def invoke():
        session = {"configurable": {"thread_id": uuid.uuid4().hex}}
        question = {"messages": [{"role": "user", "content": INPUT}]}
        # Each step is stored before the next begins.
        state = await agent.ainvoke(question, session, durability="sync")
        return state["messages"][-1].content

    return invoke


async def langgraph_sqlite():
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    saver = AsyncSqliteSaver(await aiosqlite.connect(os.path.join(DIRECTORY, "checkpoints.db")))
    await saver.setup()
    return langgraph(saver)


async def langgraph_postgres():
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool = AsyncConnectionPool(postgres(), min_size=POOL, max_size=POOL, open=False, kwargs=settings)
    await pool.open()
    saver = AsyncPostgresSaver(pool)
    await saver.setup()
    return langgraph(saver)


def postgres():
    """A PostgreSQL of this run's own with its default durability; it ends with this process."""
    binaries = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
    data = os.path.join(DIRECTORY, "postgres")
    # It refuses to run as root; Debian's package brings this user.
    as_user = {"user": "postgres", "cwd": "/"} if os.getuid() == 0 else {}
    os.chmod(DIRECTORY, 0o755)
    os.mkdir(data, 0o700)
    if as_user:
        import shutil
        shutil.chown(data, "postgres")
    run = lambda *words: subprocess.run([f"{binaries}/{words[0]}", *words[1:]], check=True, stdout=subprocess.DEVNULL, **as_user)
    run("initdb", "--pgdata", data, "--auth", "trust", "--username", "bench")
    options = f"-c listen_addresses= -c unix_socket_directories={data} -c max_connections=100"
    subprocess.Popen([f"{binaries}/postgres", "-D", data, *options.split()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                     preexec_fn=end_with_parent, **as_user)
    address = f"host={data} user=bench dbname=postgres"
    import psycopg
    for _ in range(200):
        try:
            psycopg.connect(address).close()
            return address
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise SystemExit("PostgreSQL did not start")


def end_with_parent():
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM


async def openai_agents_sqlite():
    from agents import Agent, OpenAIChatCompletionsModel, Runner, SQLiteSession, function_tool
    from openai import AsyncOpenAI

    @function_tool
    def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    model = OpenAIChatCompletionsModel("mock", AsyncOpenAI(base_url=f"http://{MODEL}/v1", max_retries=0))
    agent = Agent(name="adder", instructions=INSTRUCTION, tools=[add], model=model)

    async def invoke():
        session = SQLiteSession(uuid.uuid4().hex, os.path.join(DIRECTORY, "sessions.db"))
        return (await Runner.run(agent, INPUT, session=session)).final_output

    return invoke


async def strands():
    from botocore.config import Config
    from strands import Agent, tool
    from strands.models import BedrockModel

    @tool
    def add(a: int, b: int) -> int:
        """Add two integers.

        Args:
            a: the first number
            b: the second number
        """
        return a + b

    connections = Config(max_pool_connections=100)
    model = BedrockModel(model_id="mock", endpoint_url=f"http://{MODEL}", boto_client_config=connections)

    async def invoke():
        # An agent holds one conversation, so each invocation has its own. Nothing is stored.
        agent = Agent(model=model, tools=[add], system_prompt=INSTRUCTION, callback_handler=None)
        return str(await agent.invoke_async(INPUT))

    return invoke


PEERS = {
    "langgraph-sqlite": langgraph_sqlite,
    "langgraph-postgres": langgraph_postgres,
    "openai-agents-sqlite": openai_agents_sqlite,
    "strands": strands,
}


async def once(invoke):
    answer = await invoke()
    if EXPECTED not in answer:
        raise SystemExit(f"a wrong answer: {answer!r}")


async def drive(invoke, concurrency, seconds):
    began = time.perf_counter()
    millis = []

    async def work():
        while time.perf_counter() < began + seconds:
            start = time.perf_counter()
            await once(invoke)
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
        invoke = runner.run(PEERS[PEER]())
        runner.run(once(invoke))
        print("ready", flush=True)
        for line in sys.stdin:
            concurrency, seconds = line.split()
            figures = runner.run(drive(invoke, int(concurrency), float(seconds)))
            print(json.dumps(figures), flush=True)
        # Threads of the libraries would keep the process.
        os._exit(0)


main()
