/**
 * The Node runtime of Craton: loops on the Lambda Runtime API and calls the handler.
 *
 * Runs as `node bootstrap.cjs`; the server ends the process. What a handler sees is AWS's: how its
 * module is found, the context, callbacks where its runtime still has them, the lines of the log
 * and the shape of errors. AWS: behaviour of the public Node.js runtime interface client
 * (aws/aws-lambda-nodejs-runtime-interface-client), version 3 for Node.js before 24, 4 from there on.
 */
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const util = require("node:util");

const [HOST, PORT] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const API = "/2018-06-01/runtime";
const ROOT = process.env.LAMBDA_TASK_ROOT;
// Of the runtime that the function names, whichever Node runs it.
const MAJOR = Number(/nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV)[1]);
const HAS_CALLBACKS = MAJOR < 24;

/** An error with a type of the runtime's own. */
class Fault extends Error {
  constructor(kind, message, stack) {
    super(message);
    this.name = kind;
    this.stack = stack ?? `${kind}: ${message}`;
  }
}

// ---- the Runtime API

// One connection. The agent unrefs it while it idles, so that it does not count as work of the
// handler's when the event loop is asked whether it is empty.
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(method, resource, body = "", headers = {}) {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(body);
    const options = { host: HOST, port: PORT, agent, method, path: API + resource };
    options.headers = { ...headers, "Content-Length": bytes.length };
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts) }));
    });
    request.on("error", reject);
    request.setNoDelay(true);
    request.end(bytes);
  });
}

/** AWS: the shape of a function's error (Lambda developer guide, Node.js exceptions). */
function described(error) {
  try {
    if (util.types.isNativeError(error) || error instanceof Error) {
      const trace = typeof error.stack === "string" ? error.stack.split("\n") : [];
      return { errorType: String(error.name), errorMessage: String(error.message), trace };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: "handled", errorMessage: "an error that cannot be read", trace: [] };
  }
}

function reportError(resource, error) {
  const body = described(error);
  // A header takes no line ends and nothing beyond Latin-1.
  const kind = body.errorType.replace(/[^\x20-\x7e]/g, "?");
  return ask("POST", resource, JSON.stringify(body), {
    "Content-Type": "application/json",
    "Lambda-Runtime-Function-Error-Type": kind,
  });
}

// ---- the log

let request = "undefined";

/** AWS: time, request id, level and message, separated by tabs (Lambda developer guide, logging). */
function write(level, ...message) {
  const line = [new Date().toISOString(), request, level, util.format(...message)].join("\t");
  process.stdout.write(line + "\n");
}

function logError(title, error) {
  const { errorType, errorMessage, trace: stack } = described(error);
  const own = typeof error === "object" ? error : {};
  let text;
  try {
    text = JSON.stringify({ errorType, errorMessage, ...own, stack });
  } catch {
    text = JSON.stringify({ errorType, errorMessage, stack });
  }
  write("ERROR", `${title}\t${text}`);
}

function setUpConsole() {
  const levels = { log: "INFO", info: "INFO", debug: "DEBUG", warn: "WARN", error: "ERROR" };
  for (const [name, level] of Object.entries(levels)) {
    console[name] = (...message) => write(level, ...message);
  }
  console.fatal = (...message) => write("FATAL", ...message);
  console.trace = (...message) => {
    const here = { name: "Trace", message: util.format(...message) };
    Error.captureStackTrace(here, console.trace);
    write("TRACE", here.stack);
  };
}

// ---- the handler

/** Whether the nearest package.json makes `.js` files ES modules. */
function isModuleFolder(folder) {
  for (let at = folder; path.basename(at) !== "node_modules"; at = path.dirname(at)) {
    const text = read(path.join(at, "package.json"));
    if (text !== undefined) {
      try {
        return JSON.parse(text)?.type === "module";
      } catch (error) {
        console.warn(`${at}/package.json cannot be read: ${error.message}; .js files are CommonJS`);
        return false;
      }
    }
    if (at === path.dirname(at)) return false;
  }
  return false;
}

function read(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** AWS: the name itself, .js, .mjs, .cjs; then what Node would find. */
async function loadModule(folder, name) {
  const base = path.resolve(ROOT, folder, name);
  const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile();
  if (isFile(base)) return require(base);
  const js = isModuleFolder(path.dirname(base)) ? (file) => import(file) : require;
  const ways = [[".js", js], [".mjs", (file) => import(file)], [".cjs", require]];
  for (const [ending, load] of ways) {
    if (isFile(base + ending)) return await load(base + ending);
  }
  return require(require.resolve(name, { paths: [ROOT, path.resolve(ROOT, folder)] }));
}

async function load(handler) {
  if (handler.includes("..")) {
    throw new Fault("Runtime.MalformedHandlerName", `'${handler}' is not a valid handler name. Use ` +
      "absolute paths when specifying root directories in handler names.");
  }
  const last = path.basename(handler);
  const folder = handler.slice(0, handler.length - last.length);
  const dot = last.indexOf(".");
  if (dot < 0) throw new Fault("Runtime.MalformedHandlerName", "Bad handler");
  const found = await loaded(folder, last.slice(0, dot));
  const names = last.slice(dot + 1).split(".");
  const within = (object) => names.reduce((inner, name) => inner?.[name], object);
  const made = within(found) ?? within(found?.default);
  if (!made) {
    throw new Fault("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  }
  if (typeof made !== "function") {
    throw new Fault("Runtime.HandlerNotFound", `${handler} is not a function`);
  }
  return made;
}

async function loaded(folder, name) {
  try {
    return await loadModule(folder, name);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new Fault("Runtime.UserCodeSyntaxError", String(error), error.stack);
    }
    if (error?.code === "MODULE_NOT_FOUND") {
      throw new Fault("Runtime.ImportModuleError", advised(String(error)));
    }
    if (error?.code === "ERR_MODULE_NOT_FOUND") error.message = advised(error.message);
    throw error;
  }
}

/** What to do about a module that is not there, after AWS's and Node's own words. */
function advised(message) {
  const missing = /Cannot find (?:module|package) '([^'./][^']*)'/.exec(message)?.[1];
  if (missing === undefined || missing.startsWith("node:")) return message;
  const name = missing.split("/").slice(0, missing.startsWith("@") ? 2 : 1).join("/");
  return `${message} (package it with the function: npm install ${name} in the folder that is ` +
    "zipped, then update the function's code)";
}

/** Handlers that AWS runs in ways that are not served, or no longer are. */
function check(handler) {
  if (!HAS_CALLBACKS && handler.length >= 3) {
    throw new Fault("Runtime.CallbackHandlerDeprecated", "ERROR: AWS Lambda has removed support " +
      "for callback-based function handlers starting with Node.js 24. You need to modify this " +
      "function to use a supported handler signature to use Node.js 24 or later. For more " +
      "information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.");
  }
  if (handler[Symbol.for("aws.lambda.runtime.handler.streaming")]) throw notStreamed();
}

function notStreamed() {
  return new Fault("Craton.NotServed", "awslambda.streamifyResponse: craton does not serve " +
    "response streaming yet; export the handler itself and return the whole response");
}

// ---- one event after the other

function contextOf(headers) {
  const env = process.env;
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed(headers["lambda-runtime-client-context"]),
    identity: parsed(headers["lambda-runtime-cognito-identity"]),
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

/** Node reads header values as Latin-1; the server sends UTF-8. */
function parsed(header) {
  return header ? JSON.parse(Buffer.from(header, "latin1").toString("utf8")) : undefined;
}

function encode(result) {
  try {
    return JSON.stringify(result) ?? "null";
  } catch {
    throw new Fault("Runtime.JSONStringifyError", "Unable to stringify response body");
  }
}

// Called once when nothing is left to do in the event loop while a handler is at work.
let whenIdle = () => {};
process.on("beforeExit", () => whenIdle());

/** What a handler comes to, as soon as AWS would answer. */
function outcome(handler, event, context) {
  if (!HAS_CALLBACKS) return Promise.resolve().then(() => handler(event, context));
  return new Promise((resolve, reject) => {
    let [waits, told] = [true, false];
    const settle = (error, result) => (error != null ? reject(error) : resolve(result));
    // AWS: of callback, done, succeed, fail and the promise, the first to be called counts.
    const first = (way) => (...all) => {
      if (told) return;
      told = true;
      way(...all);
    };
    const [done, succeed] = [first(settle), first(resolve)];
    const fail = first((error) => reject(error ?? "handled"));
    const callback = first((error, result) => {
      if (error != null || !waits) return settle(error, result);
      whenIdle = () => resolve(result);
    });
    Object.assign(context, { done, succeed, fail });
    Object.defineProperty(context, "callbackWaitsForEmptyEventLoop", {
      enumerable: true, get: () => waits, set: (value) => { waits = value; },
    });
    // AWS: a handler that neither calls back nor settles its promise answers null in the end.
    whenIdle = () => resolve(null);
    const returned = handler(event, context, callback);
    if (typeof returned?.then === "function") returned.then(succeed, fail);
  });
}

async function perform(handler, { headers, body }) {
  const id = headers["lambda-runtime-aws-request-id"];
  const resource = `/invocation/${id}`;
  request = id;
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"] ?? "";
  let answer;
  try {
    answer = encode(await outcome(handler, JSON.parse(body.toString()), contextOf(headers)));
  } catch (error) {
    whenIdle = () => {};
    logError("Invoke Error", error);
    return reportError(`${resource}/error`, error);
  }
  whenIdle = () => {};
  return ask("POST", `${resource}/response`, answer, { "Content-Type": "application/json" });
}

async function serve(handler) {
  for (;;) {
    const next = await ask("GET", "/invocation/next");
    inHand = next.headers["lambda-runtime-aws-request-id"];
    await perform(handler, next);
    inHand = undefined;
  }
}

// ---- what goes wrong beside the handler

let inHand;

/** AWS: the error answers the event in hand, or the start, and the process ends. */
function stop(title, error, status) {
  logError(title, error);
  const resource = inHand === undefined ? "/init/error" : `/invocation/${inHand}/error`;
  const end = () => process.exit(status);
  reportError(resource, error).then(end, end);
}

async function main() {
  setUpConsole();
  // Both exist on AWS; streaming is refused by name where a handler asks for it.
  globalThis.awslambda = { streamifyResponse: () => { throw notStreamed(); } };
  process.on("uncaughtException", (error) => stop("Uncaught Exception", error, 129));
  process.on("unhandledRejection", (reason) => {
    const error = new Fault("Runtime.UnhandledPromiseRejection", String(reason), reason?.stack);
    stop("Unhandled Promise Rejection", error, 128);
  });
  let handler;
  try {
    handler = await load(process.env._HANDLER);
    check(handler);
  } catch (error) {
    logError("Uncaught Exception", error);
    await reportError("/init/error", error);
    process.exit(1);
  }
  // The server has gone; so does this process.
  await serve(handler).catch(() => process.exit(1));
}

main();
