/**
 * `npm run generate`: writes `generated/` from `api/`. For each contract
 *
 * - `<service>.yaml`: the bundled contract, which the service serves and validates against;
 * - `<service>.d.ts`: the types for clients, where properties with a default are optional;
 * - `<service>.server.d.ts`: the types for handlers, where properties with a default are required;
 *
 * and `task-manager.yaml` and `.d.ts`, the contracts joined as the gateway serves them.
 *
 * Exits with 1 and the location when a contract cannot be read.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleContract, services, type Json } from '@task-manager/dev/repository';
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript';
import { stringify } from 'yaml';
import { join } from './join.ts';

/** The current contents of `generated/`, by file name. `root` is the repository's folder. */
export async function generate(root: URL): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const contracts: Json[] = [];
  const header = (source: string) => `made from api/${source} by \`npm run generate\`; edit that and run it again.\n`;
  const add = async (name: string, source: string, contract: Json) => {
    const yaml = stringify(contract, { lineWidth: 0, aliasDuplicateObjects: false });
    files.set(`${name}.yaml`, `# ${header(source)}${yaml}`);
    files.set(`${name}.d.ts`, `// ${header(source)}${await types(contract, false)}`);
  };
  for (const service of services) {
    const source = `${service}.yaml`;
    const bundled = await bundleContract(fileURLToPath(new URL(`api/${source}`, root)));
    const contract = withOwnProblems(bundled as Contract);
    contracts.push(contract);
    await add(service, source, contract);
    const forHandlers = await types(withDefaultsRequired(contract), true);
    files.set(`${service}.server.d.ts`, `// ${header(source)}${forHandlers}`);
  }
  await add('task-manager', '', join(contracts));
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = new URL('../../', import.meta.url);
  try {
    for (const [name, text] of await generate(root)) await update(new URL(`generated/${name}`, root), text);
  } catch (error) {
    // The message of the parser continues with the whole file.
    console.error((error as Error).message.split('\n', 1)[0]);
    process.exitCode = 1;
  }
}

async function update(file: URL, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => '')) === text) return;
  await writeFile(file, text);
  console.log(`wrote generated/${basename(file.pathname)}`);
}

/** The parts of a bundled contract with examples of problems. */
interface Contract extends Json {
  servers: { url: string }[];
  paths: Record<string, { parameters?: { name: string; example?: string }[] } & Record<string, unknown>>;
  components: { responses: Record<string, Response>; examples: Record<string, Example> };
}
interface Response {
  content?: Record<string, { examples?: Record<string, Example | { $ref: string }> }>;
}
interface Example {
  value: Json;
}

/** Sets `type` and `instance` of common.yaml's problem examples to this service's prefix and a path that returns them. */
function withOwnProblems(contract: Contract): Contract {
  const { components } = contract;
  const prefix = contract.servers[0]?.url.replace(/\/$/, '') ?? '';
  const places = placesOf(contract, prefix);
  for (const [name, { content }] of Object.entries(components.responses)) {
    const place = places.find(({ responses }) => responses.includes(`"#/components/responses/${name}"`)) ?? places[0];
    for (const [kind, shown] of Object.entries(content?.['application/problem+json']?.examples ?? {})) {
      const { value } = ('$ref' in shown ? components.examples[shown.$ref.split('/').at(-1) ?? ''] : shown) as Example;
      const isItsOwn = places.some(({ path }) => path === value.instance);
      if (!isItsOwn) Object.assign(value, { type: `${prefix}/problems/${kind}`, instance: place?.path });
    }
  }
  return contract;
}

/** Each path with the examples of its parameters, and its operations as JSON. */
function placesOf({ paths }: Contract, prefix: string): { path: string; responses: string }[] {
  return Object.entries(paths).map(([path, { parameters = [], ...operations }]) => ({
    path:
      prefix + path.replace(/\{(\w+)\}/g, (_, name) => parameters.find((each) => each.name === name)?.example ?? ''),
    responses: JSON.stringify(operations),
  }));
}

async function types(contract: Json, defaultNonNullable: boolean): Promise<string> {
  return astToString(await openapiTS(structuredClone(contract) as unknown as OpenAPI3, { defaultNonNullable }));
}

/** Parameters with a default are always set after validation. */
function withDefaultsRequired(contract: Json): Json {
  return JSON.parse(JSON.stringify(contract), (_key, value: Json | null) =>
    value?.in && (value.schema as Json | undefined)?.default !== undefined ? { ...value, required: true } : value,
  ) as Json;
}
