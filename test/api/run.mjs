// Runs the tests beside it, and tells at the end how many passed.
import { readdirSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
let passed = 0;
let failed = 0;
const files = readdirSync(here).filter((name) => name.endsWith(".test.mjs")).map((name) => `${here}/${name}`);
const tests = run({ files, concurrency: 1 });
tests.on("test:pass", ({ details }) => (passed += details.type !== "suite"));
tests.on("test:fail", () => (failed += 1));
tests.on("end", () => {
  console.log(failed ? `${failed} of ${passed + failed} tests failed.` : `All ${passed} tests passed.`);
  process.exitCode = failed ? 1 : 0;
});
tests.compose(spec).pipe(process.stdout);
