// Runs one case: `node run.mjs FILE CASE`. A case is a function that cases/FILE.mjs exports; it gets
// what its test gave (the variable CASE), and speaks with the test in lines of JSON.
import { createInterface } from "node:readline";

const [file, name] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const talk = {
  say: (value) => process.stdout.write(`${JSON.stringify(value)}\n`),
  told: async () => JSON.parse((await lines.next()).value),
};

const cases = await import(`./cases/${file}.mjs`);
const result = await cases[name](JSON.parse(process.env.CASE), talk);
talk.say(result ?? null);
process.stdin.destroy();
