/** The README's typed client, copied next to `generated/`, compiled with strict options and run. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { startSystem, type System } from '@task-manager/testing/system';

const root = fileURLToPath(new URL('../../', import.meta.url));
const [, example = ''] = /^```ts\n([^]*?)^```/m.exec(readFileSync(`${root}README.md`, 'utf8')) ?? [];

const folder = mkdtempSync(join(tmpdir(), 'task-manager-client-'));
const file = join(folder, 'client.ts');
// More than one page of the list.
const errands = Array.from({ length: 100 }, (_, n) => ({ title: `Errand ${n}`, status: 'in-progress' }));
let system: System;
let program: ts.Program;

beforeAll(async () => {
  system = await startSystem();
  // Before the compiler blocks this process: the gateway closes idle connections.
  const body = JSON.stringify({ items: errands });
  await fetch(`${system.url}/tasks/batch`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  cpSync(`${root}generated`, join(folder, 'generated'), { recursive: true });
  symlinkSync(`${root}node_modules`, join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(file, example.replace('http://localhost:8080', system.url));
  program = ts.createProgram([file], {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    types: [],
  });
});
afterAll(async () => {
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the typed client in README.md', () => {
  it('compiles', () => {
    const errors = ts.getPreEmitDiagnostics(program);
    expect(errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });

  it('has no identifier of type any or unknown', () => {
    const checker = program.getTypeChecker();
    const types = new Map<string, ts.Type>();
    const visit = (node: ts.Node) => {
      if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) return;
      if (ts.isIdentifier(node)) types.set(node.text, checker.getTypeAtLocation(node));
      ts.forEachChild(node, visit);
    };
    visit(program.getSourceFile(file) as ts.SourceFile);
    expect(types.size).toBeGreaterThan(20);
    const untyped = [...types].filter(([, { flags }]) => flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown));
    expect(untyped.map(([name]) => name)).toEqual([]);
  });

  it('prints the problem, updates a task once and lists each task once', async () => {
    program.emit();
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'client.js')]);
    const [problem, changed, conflict, ...listed] = stdout.trimEnd().split('\n');
    expect(problem).toBe('/body/title must NOT have fewer than 1 characters');
    expect([changed, conflict]).toEqual(['in-progress', 'The version is stale.']);
    const titles = [...errands.map(({ title }) => title), 'Call the plumber'];
    expect(listed.sort()).toEqual(titles.map((title) => `${title} no due date`).sort());
  });
});
