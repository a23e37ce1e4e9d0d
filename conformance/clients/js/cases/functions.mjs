// @aws-sdk/client-lambda over HTTP/1.1.
import * as sdk from "@aws-sdk/client-lambda";

import { failure } from "./errors.mjs";

const parsed = (answer) => ({
  status: answer.StatusCode,
  error: answer.FunctionError ?? null,
  payload: JSON.parse(answer.Payload.transformToString()),
  log: Buffer.from(answer.LogResult ?? "", "base64").toString(),
});

// Makes a function of a zip, calls it once well and once badly, and deletes it.
export async function lifeOfAFunction({ name, zip, role }) {
  const client = new sdk.LambdaClient();
  await client.send(new sdk.CreateFunctionCommand({
    FunctionName: name,
    Runtime: "python3.12",
    Role: role,
    Handler: "main.handler",
    Code: { ZipFile: Buffer.from(zip, "base64") },
  }));
  await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 30 }, { FunctionName: name });
  const call = (event) => client.send(new sdk.InvokeCommand({
    FunctionName: name, LogType: "Tail", Payload: JSON.stringify(event),
  }));
  const [well, badly] = [parsed(await call({ n: 20 })), parsed(await call({}))];
  await client.send(new sdk.DeleteFunctionCommand({ FunctionName: name }));
  const gone = await failure(sdk, () => call({ n: 1 }));
  return { well, badly, gone };
}
