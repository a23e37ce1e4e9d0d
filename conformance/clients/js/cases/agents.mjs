// @aws-sdk/client-iam and @aws-sdk/client-bedrock-agent over HTTP/1.1,
// @aws-sdk/client-bedrock-agent-runtime over HTTP/2.
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";

import * as control from "@aws-sdk/client-bedrock-agent";
import * as runtime from "@aws-sdk/client-bedrock-agent-runtime";
import { CreateRoleCommand, IAMClient, waitUntilRoleExists } from "@aws-sdk/client-iam";

import { failure } from "./errors.mjs";

const { InvokeAgentCommand } = runtime;
const cp = () => new control.BedrockAgentClient();
const rt = () => new runtime.BedrockAgentRuntimeClient();

const PAY = {
  name: "pay",
  description: "Pays a refund",
  parameters: {
    amount: { type: "number", description: "How much", required: true },
    to: { type: "string", description: "To whom", required: true },
  },
};

const TRUST = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "bedrock.amazonaws.com" } }],
};

async function role(name) {
  const client = new IAMClient();
  const AssumeRolePolicyDocument = JSON.stringify(TRUST);
  const { Role } = await client.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument }));
  await waitUntilRoleExists({ client, maxWaitTime: 30 }, { RoleName: name });
  return Role.Arn;
}

// Makes an agent whose payments are the program's own to make, as a set-up script does.
export async function setUp({ model, name }) {
  const client = cp();
  const { agent } = await client.send(new control.CreateAgentCommand({
    agentName: name,
    foundationModel: model,
    agentResourceRoleArn: await role(name),
    instruction: "You help the customers of a shop with their refunds, politely and briefly.",
  }));
  const { agentId } = agent;
  await client.send(new control.CreateAgentActionGroupCommand({
    agentId,
    agentVersion: "DRAFT",
    actionGroupName: "desk",
    actionGroupExecutor: { customControl: "RETURN_CONTROL" },
    functionSchema: { functions: [PAY] },
  }));
  await client.send(new control.PrepareAgentCommand({ agentId }));
  const { agentAlias } = await client.send(
    new control.CreateAgentAliasCommand({ agentId, agentAliasName: "live" }),
  );
  const { agentAliasId } = agentAlias;
  for (;;) {
    const shown = await client.send(new control.GetAgentAliasCommand({ agentId, agentAliasId }));
    if (shown.agentAlias.agentAliasStatus === "PREPARED") break;
    await wait(20);
  }
  return { agentId, agentAliasId, dated: agent.createdAt instanceof Date };
}

// Lists with the SDK's paginator, one per page.
export async function listed() {
  const names = [];
  for await (const page of control.paginateListAgents({ client: cp(), pageSize: 1 }, {})) {
    names.push(...page.agentSummaries.map((summary) => summary.agentName));
  }
  return names;
}

export const notFound = () => failure(control, () =>
  cp().send(new control.GetAgentCommand({ agentId: "AAAAAAAAAA" })));

export const wrongField = () => failure(control, () =>
  cp().send(new control.CreateAgentCommand({ agentName: "no spaces, please" })));

const invoke = (client, { agentId, agentAliasId }, sessionId, rest, options) => client.send(
  new InvokeAgentCommand({ agentId, agentAliasId, sessionId, enableTrace: true, ...rest }), options);

async function hear(answer, heard = () => {}) {
  const turn = { text: "", chunks: 0, steps: [], control: null };
  for await (const event of answer.completion) {
    heard(event);
    if (event.chunk) {
      turn.text += new TextDecoder().decode(event.chunk.bytes);
      turn.chunks += 1;
    }
    if (event.trace) turn.steps.push(...Object.keys(event.trace.trace.orchestrationTrace ?? { failureTrace: 0 }));
    if (event.returnControl) turn.control = event.returnControl;
  }
  return turn;
}

// Answers every call that comes back with `paid`, until the turn ends.
export async function returnOfControl({ agent }) {
  const client = rt();
  const session = randomUUID();
  const turns = [];
  let input = { inputText: "Pay Ada 5, please" };
  for (;;) {
    const turn = await hear(await invoke(client, agent, session, input));
    turns.push(turn);
    if (!turn.control) return turns;
    const results = turn.control.invocationInputs.map(({ functionInvocationInput: call }) => ({
      functionResult: {
        actionGroup: call.actionGroup,
        function: call.function,
        responseBody: { TEXT: { body: "paid" } },
      },
    }));
    const { invocationId } = turn.control;
    input = { sessionState: { invocationId, returnControlInvocationResults: results } };
  }
}

export async function streamed({ agent }, { say }) {
  const streamingConfigurations = { streamFinalResponse: true };
  const answer = await invoke(rt(), agent, randomUUID(), { inputText: "Where is it?", streamingConfigurations });
  const { contentType, sessionId } = answer;
  const turn = await hear(answer, (event) => {
    if (event.chunk) say(new TextDecoder().decode(event.chunk.bytes));
  });
  return { contentType, session: typeof sessionId, ...turn };
}

export async function refusedInTheStream({ agent }) {
  const answer = await invoke(rt(), agent, randomUUID(), { inputText: "Hello" });
  return failure(runtime, () => hear(answer));
}

export const notFoundAtRuntime = () => failure(runtime, () =>
  invoke(rt(), { agentId: "AAAAAAAAAA", agentAliasId: "TSTALIASID" }, randomUUID(), { inputText: "Hello" }));

// What a stream said that the program or the server broke off. The SDK may throw, or end the loop
// without a word, as it does once the head of an HTTP/2 answer is there: either is no answer.
const broken = (answer) => hear(answer).then((turn) => turn.text, () => "");

// Leaves while the first turn is under way, and asks again in the same session.
export async function aborted({ agent, session }, { say, told }) {
  const leave = new AbortController();
  const client = rt();
  const answer = await invoke(client, agent, session, { inputText: "first" }, { abortSignal: leave.signal });
  say("the stream is open");
  await told();
  leave.abort();
  say(await broken(answer));
  return (await hear(await invoke(client, agent, session, { inputText: "second" }))).text;
}

// The server dies while the stream of the first turn is open, and is back for the second.
export async function killed({ agent, session }, { say, told }) {
  const client = rt();
  const answer = await invoke(client, agent, session, { inputText: "first" });
  say("the stream is open");
  say(await broken(answer));
  await told();
  return (await hear(await invoke(client, agent, session, { inputText: "second" }))).text;
}
