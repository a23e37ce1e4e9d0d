import { execFile, spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import zlib from "node:zlib";

const inWorker = () => new Promise((resolve, reject) => {
  const source = "const { parentPort } = require('node:worker_threads'); parentPort.postMessage(6 * 7);";
  new Worker(source, { eval: true }).on("message", resolve).on("error", reject);
});

const throughPipe = () => new Promise((resolve) => {
  const cat = spawn("cat");
  cat.stdout.on("data", (data) => resolve(data.toString()));
  cat.stdin.end("through a pipe");
});

const ownListener = () => new Promise((resolve, reject) => {
  const server = net.createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1", () => {
    net.connect(server.address().port, "127.0.0.1").on("error", reject)
      .on("data", (data) => server.close(() => resolve(data.toString())));
  });
});

export const handler = async () => {
  await fs.writeFile("/tmp/order.json", JSON.stringify({ cents: 5 }));
  const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
  return {
    worker: await inWorker(),
    program: (await promisify(execFile)("uname", ["-s"])).stdout.trim(),
    pipe: await throughPipe(),
    listener: await ownListener(),
    file: JSON.parse(await fs.readFile("/tmp/order.json", "utf8")).cents,
    hash: crypto.scryptSync("secret", "salt", 16).length,
    packed: zlib.gunzipSync(zlib.gzipSync("twice")).toString(),
    wasm: (await WebAssembly.instantiate(wasm)).instance !== undefined,
    memory: os.totalmem() > 0,
    user: os.userInfo().uid > 0,
  };
};
