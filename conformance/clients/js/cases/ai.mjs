// Vercel's AI SDK: its Bedrock provider speaks Converse through fetch.
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const bedrock = () => createAmazonBedrock({ baseURL: process.env.AWS_ENDPOINT_URL });

const weather = tool({
  description: "The weather in a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, degrees: 18 }),
});

const question = (model) => ({
  model: bedrock()(model),
  tools: { weather },
  stopWhen: stepCountIs(5),
  prompt: "What is the weather in Oslo?",
});

export async function toolLoop({ model }) {
  const { text, steps, totalUsage } = await generateText(question(model));
  return { text, finishes: steps.map((step) => step.finishReason), tokens: totalUsage.totalTokens };
}

export async function streamed({ model }, { say }) {
  const { fullStream } = streamText(question(model));
  const kinds = new Set();
  for await (const part of fullStream) {
    kinds.add(part.type);
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") say(part.text);
  }
  return [...kinds];
}

// Which stop sequence ended the words, whole and streamed.
export async function stopped({ model }) {
  const ended = { model: bedrock()(model), prompt: "Count", stopSequences: ["4"] };
  const { providerMetadata: whole } = await generateText(ended);
  const streamed = await streamText(ended).providerMetadata;
  return [whole, streamed].map((metadata) => metadata.bedrock.stopSequence);
}

export async function letIn({ model }) {
  return (await generateText({ model: bedrock()(model), prompt: "Hello" })).text;
}

export async function refused({ model }) {
  try {
    await generateText({ ...question(model), maxRetries: 0 });
  } catch (error) {
    return { name: error.name, status: error.statusCode, message: error.message };
  }
  throw new Error("nothing was thrown");
}
