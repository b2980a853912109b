/** Imports point one way. Type-only imports count too. Each failure says what to do. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const packages = ['packages/testing/src', 'packages/dev/src', 'packages/runtime/src'];

/** The folders that each folder may import besides itself. A `*` has the same value on both sides. */
const allowed: Record<string, string[]> = {
  tests: [...packages, 'scripts', 'services/*/src', 'generated'],
  benchmarks: [...packages, 'generated'],
  scripts: packages,
  'services/*/test': [...packages, 'services/*/src', 'generated'],
  'services/*/src': ['packages/runtime/src', 'generated'],
  'packages/*/test': packages,
  'packages/testing/src': ['packages/dev/src', 'packages/runtime/src'],
  'packages/dev/src': ['packages/runtime/src'],
  'packages/runtime/src': [],
};

const runtime = 'packages/runtime/src/';

/** The layers of the runtime from top to bottom. */
const layers = [
  /^start\.ts$/,
  /^service\.ts$/,
  /^docs\//,
  /^http\//,
  /^contract\//,
  /^postgres\//,
  /^(errors|ids|config)\.ts$/,
];

const root = fileURLToPath(new URL('../../', import.meta.url));
const files = ['tests', 'benchmarks', 'scripts', 'services', 'packages']
  .flatMap((folder) => ts.sys.readDirectory(root + folder, ['.ts'], ['**/node_modules', '**/dist']))
  .map((file) => file.slice(root.length));
const graph = new Map(files.map((file) => [file, importsOf(file)]));
const imports = [...graph].flatMap(([file, targets]) => targets.map((target) => [file, target] as const));

describe('imports', () => {
  it('have a rule for every file', () => {
    expect(files.length).toBeGreaterThan(100);
    const unknown = files.filter(
      (file) => !matchFolder(file).folder || (file.startsWith(runtime) && layerOf(file) === -1),
    );
    expect(unknown.map((file) => `${file}: move it, or add its folder to the rules in this test`)).toEqual([]);
  });

  it('stay within the folders that a folder may use', () => {
    const wrong = imports.flatMap(([file, target]) => {
      const { folder = '', name } = matchFolder(file);
      const folders = [folder, ...(allowed[folder] ?? [])].map((each) => (name ? each.replace('*', name) : each));
      if (folders.some((each) => toPattern(each).test(target))) return [];
      return [`${file} imports ${target}: import only from ${folders.join(', ')}, or move the code into one of them`];
    });
    expect(wrong).toEqual([]);
  });

  it('point down in packages/runtime/src', () => {
    const upward = imports.flatMap(([file, target]) => {
      const [from, to] = [layerOf(file), layerOf(target)];
      if (from === -1 || to === -1 || from <= to) return [];
      return [`${file} imports ${target}: move the shared code down, or pass it in as an argument`];
    });
    expect(upward).toEqual([]);
  });

  it('have no cycles', () => {
    const advice = (cycle: string[]) => `${cycle.join(' → ')}: move the shared code into a file that imports neither`;
    expect(findCycles().map(advice)).toEqual([]);
  });
});

function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(root + file, 'utf8'), true, true);
  return importedFiles.flatMap(({ fileName }) => {
    if (fileName.startsWith('.')) return [posix.join(posix.dirname(file), fileName)];
    const [, name, path] = /^@task-manager\/([\w-]+)\/(.+)$/.exec(fileName) ?? [];
    return name && path ? [`packages/${name}/src/${path}.ts`] : [];
  });
}

/** The key of `allowed` for a file and the value of its `*`. */
function matchFolder(file: string): { folder?: string; name?: string } {
  const folder = Object.keys(allowed).find((key) => toPattern(key).test(file));
  const name = folder && toPattern(folder).exec(file)?.[1];
  return { ...(folder && { folder }), ...(name && { name }) };
}

function toPattern(folder: string): RegExp {
  return new RegExp(`^${folder.replace('*', '([\\w-]+)')}/`);
}

function layerOf(file: string): number {
  return file.startsWith(runtime) ? layers.findIndex((layer) => layer.test(file.slice(runtime.length))) : -1;
}

function findCycles(): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file]);
    else if (!done.has(file)) for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
