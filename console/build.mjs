// Bundles the console into dist/, and collects the licences of what it contains.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { console: "main.tsx" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome109", "firefox115", "safari16"],
  jsx: "automatic",
  jsxImportSource: "preact",
  metafile: true,
  logLevel: "warning",
});

const inputs = Object.keys(metafile.inputs).map((path) => path.match(/node_modules\/((@[^/]+\/)?[^/]+)/)?.[1]);
const packages = [...new Set(inputs.filter(Boolean))].sort();
const licenses = packages.map((name) => {
  const directory = `${here}node_modules/${name}`;
  const file = readdirSync(directory).find((file) => /^licen[cs]e/i.test(file));
  const { license } = JSON.parse(readFileSync(`${directory}/package.json`, "utf8"));
  return `${name}: ${license}\n\n${file ? readFileSync(`${directory}/${file}`, "utf8").trim() : ""}\n`;
});
writeFileSync(`${here}dist/LICENSES`, licenses.join(`\n${"-".repeat(80)}\n\n`));
