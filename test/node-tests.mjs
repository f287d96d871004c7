// Loads the tests in a directory, for one process to run: starting one, and a browser, takes longer than most tests.
import { readdirSync } from "node:fs";
import { resolve } from "node:path";

const [directory, ...wanted] = process.argv.slice(2);
const names = wanted.length ? wanted : readdirSync(directory).filter((name) => name.endsWith(".test.mjs"));
for (const name of names) await import(resolve(directory, name));
