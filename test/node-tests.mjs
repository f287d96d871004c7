// Runs the tests in a directory, and tells at the end how many passed.
//
//   node test/node-tests.mjs DIRECTORY [FILE.test.mjs]...
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const [directory, ...wanted] = process.argv.slice(2);
let passed = 0;
let failed = 0;
const names = wanted.length ? wanted : readdirSync(directory).filter((name) => name.endsWith(".test.mjs"));
const files = names.map((name) => resolve(directory, name));
const tests = run({ files, concurrency: 1 });
tests.on("test:pass", ({ details }) => (passed += details.type !== "suite"));
tests.on("test:fail", () => (failed += 1));
tests.on("end", () => {
  console.log(failed ? `${failed} of ${passed + failed} tests failed.` : `All ${passed} tests passed.`);
  process.exitCode = failed ? 1 : 0;
});
tests.compose(spec).pipe(process.stdout);
