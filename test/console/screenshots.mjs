// Takes the pictures of the documentation: the organizations, and one of them.
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { close, keys, settled, signedIn } from "./reader.mjs";

const maxBytes = 150_000;
const shots = {
  "console-organizations": { place: "#/organizations", height: 738 },
  "console-organization": { place: "#/organizations/acme/spend", height: 900 },
};

for (const [name, { place, height }] of Object.entries(shots)) {
  const page = await signedIn(keys.admin, place, { width: 1160, height });
  await settled(page);
  const path = fileURLToPath(new URL(`../../docs/images/${name}.png`, import.meta.url));
  await page.screenshot({ path });
  const { size } = statSync(path);
  if (size > maxBytes) throw new Error(`${path} has ${size} bytes, more than ${maxBytes}`);
  console.log(`${path}: ${size} bytes`);
}
await close();
