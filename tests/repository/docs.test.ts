/** The docs behind the gateway: the contracts, runnable samples and a page for every problem. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolve, readContract } from '@task-manager/runtime/contract/document';
import { referenceOf } from '@task-manager/runtime/docs/reference';
import type { Sample } from '@task-manager/runtime/docs/samples';
import { startSandbox, type System } from '@task-manager/testing/system';

const root = fileURLToPath(new URL('../../', import.meta.url));

const compiler = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
const compilerOptions = [
  ...['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes'],
  ...['--target', 'es2023', '--module', 'nodenext', '--lib', 'es2023,dom,dom.iterable', '--types', 'node'],
];

/** The pages with an API reference. `base` is the path that their samples start with. */
const pages = [
  { name: 'task-service', folder: '/', base: '' },
  { name: 'user-service', folder: '/user/', base: '/user' },
  { name: 'task-manager', folder: '/docs/', base: '' },
].map((page) => ({ ...page, contract: readContract(new URL(`../../generated/${page.name}.yaml`, import.meta.url)) }));

let system: System;
beforeAll(async () => {
  system = await startSandbox();
});
afterAll(() => system.stop());

describe('the docs', () => {
  it('are served at /docs and redirect there from /docs/', async () => {
    const page = await fetch(`${system.url}/docs`, { redirect: 'error' });
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('<title>Task Manager</title>');
    expect(await fetch(`${system.url}/docs/`)).toMatchObject({ status: 200, url: `${system.url}/docs` });
  });

  it.each(pages)('serve generated/$name.yaml at $folder', async ({ name, folder, contract }) => {
    const yaml = await (await fetch(`${system.url}${folder}openapi.yaml`)).text();
    expect(yaml).toBe(await readFile(join(root, 'generated', `${name}.yaml`), 'utf8'));
    expect(await (await fetch(`${system.url}${folder}openapi.json`)).json()).toEqual(contract.document);
  });
});

describe.each(pages)('the samples of $name', ({ name, base, contract }) => {
  const samples = samplesIn(referenceOf(contract));
  const folder = mkdtempSync(join(tmpdir(), 'task-manager-samples-'));
  const withUrl = (source: string) => source.replaceAll('$URL', system.url + base);
  let compilerErrors: string;

  beforeAll(async () => {
    cpSync(`${root}generated`, join(folder, 'generated'), { recursive: true });
    symlinkSync(`${root}node_modules`, join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    for (const { operationId, typescript } of samples) {
      writeFileSync(join(folder, `${operationId}.ts`), withUrl(typescript));
    }
    const files = samples.map(({ operationId }) => join(folder, `${operationId}.ts`));
    // In a child process: blocking this one would let the gateway close its idle connections.
    const compiled = promisify(execFile)(process.execPath, [compiler, ...compilerOptions, ...files]);
    ({ stdout: compilerErrors } = await compiled.catch((error: unknown) => error as { stdout: string }));
  }, 60_000);
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it('exist for every operation', () => {
    expect(samples.map(({ operationId }) => operationId).sort()).toEqual(
      contract.operations.map(({ operationId }) => operationId).sort(),
    );
  });

  it(`compile with generated/${name}.d.ts`, () => {
    expect(compilerErrors).toBe('');
  });

  it.each(samples)('get the same response from curl and TypeScript: $operationId', async ({ operationId, curl }) => {
    const line = withUrl(curl);
    await reset();
    const response = await run('sh', ['-c', line.replace(/^curl/, 'curl --silent --show-error --fail')]);
    await reset();
    const printed = await run(process.execPath, [join(folder, `${operationId}.js`)]);
    expect(masked(printed)).toBe(masked(response && `${inspect(JSON.parse(response))}\n`));
  });
});

describe('every problem', () => {
  const problems = pages.flatMap(({ contract: { document } }) =>
    Object.values(document.components.responses).flatMap((response) => {
      const { description, content } = resolve(document, response);
      const examples = Object.values(content?.['application/problem+json']?.examples ?? {});
      return examples.map((each) => ({ description, ...resolve(document, each) }));
    }),
  );
  const byType = new Map(problems.map(({ value, ...rest }) => [value.type as string, { ...rest, ...value }]));

  it('has a type under the prefix of its service', () => {
    expect([...byType.keys()].filter((type) => type.startsWith('/user/problems/')).length).toBeGreaterThan(10);
    expect([...byType.keys()].filter((type) => type.startsWith('/problems/')).length).toBeGreaterThan(10);
  });

  it.each([...byType])('has a page at its type: %s', async (type, problem) => {
    const page = await fetch(system.url + type, { headers: { Accept: 'text/html' } });
    expect(page.headers.get('content-type')).toContain('text/html');
    const text = textOf(await page.text());
    const { status, title, description } = problem as unknown as { status: number; title: string; description: string };
    expect(text).toContain(`${status} ${title}`);
    expect(text).toContain(description.replaceAll('`', '').replace(/\s+/g, ' ').trim());
  });
});

function samplesIn(document: object): { operationId: string; curl: string; typescript: string }[] {
  const { paths } = document as { paths: Record<string, Record<string, { operationId: string }>> };
  return Object.values(paths)
    .flatMap((item) => Object.values(item))
    .flatMap((operation) => {
      const sources = (operation as { 'x-codeSamples'?: Sample[] })['x-codeSamples']?.map(({ source }) => source);
      const [curl = '', typescript = ''] = sources ?? [];
      return sources ? [{ operationId: operation.operationId, curl, typescript }] : [];
    });
}

async function reset(): Promise<void> {
  expect((await fetch(`${system.url}/sandbox/reset`, { method: 'POST' })).status).toBe(204);
}

async function run(command: string, parameters: string[]): Promise<string> {
  return (await promisify(execFile)(command, parameters)).stdout;
}

/** Replaces the values that differ between runs. */
function masked(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/g, '<id>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/'\d+-\d+'/g, '<cursor>');
}

function textOf(html: string): string {
  return html
    .replace(/<[^>]*>/g, '')
    .replace(/&#39;/g, "'")
    .replace(/&quot;/g, '"')
    .replace(/\s+/g, ' ');
}
