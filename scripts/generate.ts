/**
 * `npm run generate`: makes `generated/` from `api/`. For each contract
 *
 * - `<service>.yaml`: the contract in one file, which the services serve and validate by;
 * - `<service>.d.ts`: its types as a client sees them: what has a default may be left out;
 * - `<service>.server.d.ts`: its types as a handler sees them: what has a default is there.
 *
 * Exits with 1 and the place when a contract cannot be read.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle, createConfig } from '@redocly/openapi-core';
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript';
import { stringify } from 'yaml';

export const services = ['task-service', 'user-service'];

/** The files that stand in `generated/`, by name, as they should be now. `root` is the repository's folder. */
export async function generate(root: URL): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const service of services) {
    const contract = await bundleContract(fileURLToPath(new URL(`api/${service}.yaml`, root)));
    const header = `made from api/${service}.yaml by \`npm run generate\`; edit that and run it again.\n`;
    files.set(`${service}.yaml`, `# ${header}${stringify(contract, { lineWidth: 0, aliasDuplicateObjects: false })}`);
    files.set(`${service}.d.ts`, `// ${header}${await types(contract, false)}`);
    files.set(`${service}.server.d.ts`, `// ${header}${await types(withDefaultsRequired(contract), true)}`);
  }
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = new URL('../../', import.meta.url);
  try {
    for (const [name, text] of await generate(root)) await update(new URL(`generated/${name}`, root), text);
  } catch (error) {
    // A parser's message goes on with the whole file.
    console.error((error as Error).message.split('\n', 1)[0]);
    process.exitCode = 1;
  }
}

async function update(file: URL, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => '')) === text) return;
  await writeFile(file, text);
  console.log(`wrote generated/${basename(file.pathname)}`);
}

type Json = Record<string, unknown>;

/** A contract in one document. `dereference` puts what is referred to in its place. Throws when it cannot be read. */
export async function bundleContract(ref: string, dereference = false): Promise<Json> {
  const { bundle: document, problems } = await bundle({ ref, config: await createConfig({}), dereference });
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((e) => `${ref}: ${e.message}`).join('\n'));
  return document.parsed as Json;
}

async function types(contract: Json, defaultNonNullable: boolean): Promise<string> {
  return astToString(await openapiTS(structuredClone(contract) as unknown as OpenAPI3, { defaultNonNullable }));
}

/** Parameters with a default are always there once the request was validated. */
function withDefaultsRequired(contract: Json): Json {
  return JSON.parse(JSON.stringify(contract), (_key, value: Json | null) =>
    value?.in && (value.schema as Json | undefined)?.default !== undefined ? { ...value, required: true } : value,
  ) as Json;
}
