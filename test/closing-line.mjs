// A reporter for Node's test runner: tells at the end how many passed.
export default async function* closingLine(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type === "test:pass") passed += data.details.type !== "suite";
    if (type === "test:fail") failed += 1;
  }
  yield failed ? `${failed} of ${passed + failed} tests failed.\n` : `All ${passed} tests passed.\n`;
}
