// LangChain.js: ChatBedrockConverse, which sits on the SDK.
import { ChatBedrockConverse } from "@langchain/aws";
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { z } from "zod";

const weather = tool(async ({ city }) => JSON.stringify({ city, degrees: 18 }), {
  name: "weather",
  description: "The weather in a city",
  schema: z.object({ city: z.string() }),
});

const chat = (model) => new ChatBedrockConverse({ model, region: process.env.AWS_REGION });

export async function toolLoop({ model }) {
  const bound = chat(model).bindTools([weather]);
  const messages = [new HumanMessage("What is the weather in Oslo?")];
  for (;;) {
    const answer = await bound.invoke(messages);
    messages.push(answer);
    if (!answer.tool_calls.length) return { text: answer.text, tokens: answer.usage_metadata.total_tokens };
    for (const call of answer.tool_calls) messages.push(await weather.invoke(call));
  }
}

export async function streamed({ model }, { say }) {
  let whole;
  for await (const chunk of await chat(model).stream("Hello")) {
    whole = whole ? whole.concat(chunk) : chunk;
    if (chunk.text) say(chunk.text);
  }
  return { text: whole.text, tokens: whole.usage_metadata.total_tokens };
}
