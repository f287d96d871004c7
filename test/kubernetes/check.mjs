// Check manifests against Kubernetes' schemas: their values by its validators, and the names of their fields by its
// types, since the validators accept fields that do not exist.
//
//   node test/kubernetes/check.mjs FILE...
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { parseAllDocuments } from "yaml";

const directory = dirname(fileURLToPath(import.meta.url));

// What the validator of its kind finds in a manifest.
async function wrongValues({ apiVersion, kind, ...fields }) {
  try {
    const models = await import(`kubernetes-models/${apiVersion}`);
    new models[kind](fields).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

// What the compiler finds in a program that gives the manifest the type of its kind.
function wrongFields(manifest) {
  const { apiVersion, kind } = manifest;
  const program = `import type { I${kind} } from "kubernetes-models/${apiVersion}";
export const manifest: I${kind} = ${JSON.stringify(manifest, null, 1)};`;
  const name = join(directory, "manifest.ts");
  const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile;
  host.getSourceFile = (file, version) =>
    file === name ? ts.createSourceFile(file, program, version) : read(file, version);
  return ts
    .getPreEmitDiagnostics(ts.createProgram([name], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

let wrong = 0;
for (const file of process.argv.slice(2)) {
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    const manifest = document.toJS();
    const found = [...document.errors.map(String), ...(await wrongValues(manifest)), ...wrongFields(manifest)];
    for (const line of found) console.log(`${file}: ${line}`);
    wrong += found.length;
  }
}
process.exitCode = wrong ? 1 : 0;
