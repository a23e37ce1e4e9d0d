// @aws-sdk/client-bedrock-runtime: Converse and ConverseStream, over HTTP/2 as it comes.
import { Transform } from "node:stream";

import * as sdk from "@aws-sdk/client-bedrock-runtime";
import { NodeHttp2Handler } from "@smithy/node-http-handler";

import { caught, failure } from "./errors.mjs";

const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } = sdk;

const user = (text) => ({ role: "user", content: [{ text }] });
const ask = (modelId, text) => new ConverseCommand({ modelId, messages: [user(text)] });
const stream = (modelId, text) => new ConverseStreamCommand({ modelId, messages: [user(text)] });
const words = (answer) => answer.output.message.content.map((block) => block.text ?? "").join("");

const WEATHER = {
  tools: [{
    toolSpec: {
      name: "weather",
      description: "The weather in a city",
      inputSchema: { json: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
    },
  }],
};

export async function toolLoop({ model }) {
  const client = new BedrockRuntimeClient();
  const messages = [user("What is the weather in Oslo?")];
  const stops = [];
  for (;;) {
    const answer = await client.send(new ConverseCommand({ modelId: model, messages, toolConfig: WEATHER }));
    messages.push(answer.output.message);
    stops.push(answer.stopReason);
    if (answer.stopReason !== "tool_use") {
      return { stops, text: words(answer), usage: answer.usage, latency: typeof answer.metrics.latencyMs };
    }
    const results = answer.output.message.content.filter((block) => block.toolUse).map(({ toolUse }) => ({
      toolResult: { toolUseId: toolUse.toolUseId, content: [{ json: { city: toolUse.input.city, degrees: 18 } }] },
    }));
    messages.push({ role: "user", content: results });
  }
}

export async function streamed({ model }, { say }) {
  const answer = await new BedrockRuntimeClient().send(stream(model, "Hello"));
  const events = [];
  for await (const event of answer.stream) {
    events.push(event);
    if (event.contentBlockDelta) say(event.contentBlockDelta.delta);
  }
  return events;
}

export const refusedBeforeTheStream = ({ model }) => failure(sdk, () =>
  new BedrockRuntimeClient({ maxAttempts: 1 }).send(stream(model, "Hello")));

export async function refusedInTheStream({ model }) {
  const answer = await new BedrockRuntimeClient().send(stream(model, "Hello"));
  let text = "";
  const error = await failure(sdk, async () => {
    for await (const event of answer.stream) text += event.contentBlockDelta?.delta.text ?? "";
  });
  return { text, ...error };
}

// `count` requests at once on one client, which opens an HTTP/2 session for each.
export async function manyAtOnce({ model, count }) {
  const client = new BedrockRuntimeClient();
  const each = Array.from({ length: count }, (_, n) => client.send(ask(model, `number ${n}`)));
  return (await Promise.all(each)).map(words);
}

// A handler that shares one session, as a program may choose and as the SDK's earlier releases did.
function sharing() {
  const inner = new NodeHttp2Handler();
  return Object.assign(Object.create(inner), {
    handle: (request, options) => inner.handle(request, { ...options, isEventStream: false }),
    sessions: () => Object.values(inner.connectionManager.debug()).flatMap((pool) => pool.sessions).length,
  });
}

export async function manyStreamsOnOneSession({ model, count }) {
  const requestHandler = sharing();
  const client = new BedrockRuntimeClient({ requestHandler });
  const read = async (n) => {
    const answer = await client.send(stream(model, `number ${n}`));
    let text = "";
    for await (const event of answer.stream) text += event.contentBlockDelta?.delta.text ?? "";
    return text;
  };
  const texts = await Promise.all(Array.from({ length: count }, (_, n) => read(n)));
  return { texts, sessions: requestHandler.sessions() };
}

// One stream is not read while another on the same session is.
export async function oneSlowReader({ model }) {
  const client = new BedrockRuntimeClient({ requestHandler: sharing() });
  const slow = await client.send(stream(model, "much"));
  const quick = await client.send(stream(model, "little"));
  const lengths = {};
  for (const [name, answer] of [["quick", quick], ["slow", slow]]) {
    lengths[name] = 0;
    for await (const event of answer.stream) lengths[name] += event.contentBlockDelta?.delta.text?.length ?? 0;
  }
  return lengths;
}

export async function large({ model, size }) {
  const answer = await new BedrockRuntimeClient().send(ask(model, "x".repeat(size)));
  return words(answer).length;
}

export const tooLarge = ({ model, size }) => failure(sdk, () =>
  new BedrockRuntimeClient({ maxAttempts: 1 }).send(ask(model, "x".repeat(size))));

// Says `true` for each keep-alive that crosses the wire; gives what the program saw of the stream.
export async function keptAlive({ model }, { say }) {
  const client = new BedrockRuntimeClient();
  const watch = () => new Transform({
    transform(bytes, _, done) {
      if (bytes.includes("keep-alive")) say(true);
      done(null, bytes);
    },
  });
  const tap = (next) => async (call) => {
    const result = await next(call);
    result.response.body = result.response.body.pipe(watch());
    return result;
  };
  client.middlewareStack.add(tap, { step: "deserialize", priority: "low" });
  const answer = await client.send(stream(model, "Hello"));
  const kinds = [];
  for await (const event of answer.stream) kinds.push(...Object.keys(event));
  return kinds;
}

// The same client before and after its server went away.
export async function restarted({ model }, { say, told }) {
  const client = new BedrockRuntimeClient();
  const before = words(await client.send(ask(model, "before")));
  say(before);
  await told();
  return words(await client.send(ask(model, "after")));
}

// The same client, with a request under way while its server goes away.
export async function killedInFlight({ model }) {
  return words(await new BedrockRuntimeClient({ maxAttempts: 20, retryMode: "standard" }).send(ask(model, "Hello")));
}

export async function aborted({ model }, { told }) {
  const leave = new AbortController();
  told().then(() => leave.abort());
  const options = { abortSignal: leave.signal };
  return failure(sdk, () => new BedrockRuntimeClient().send(ask(model, "Hello"), options));
}

export const notServed = () => failure(sdk, () =>
  new BedrockRuntimeClient({ maxAttempts: 1 }).send(new sdk.ApplyGuardrailCommand({
    guardrailIdentifier: "abcdefgh", guardrailVersion: "1", source: "INPUT", content: [{ text: { text: "Hello" } }],
  })));

// What the model answers, or the exception: for servers that read credentials.
export const letIn = async ({ model }) => {
  try {
    return words(await new BedrockRuntimeClient({ maxAttempts: 1 }).send(ask(model, "Hello")));
  } catch (error) {
    return caught(sdk, error);
  }
};
