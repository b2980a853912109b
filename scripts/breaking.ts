/**
 * `npm run breaking`: compares the contracts in `api/` with the last release in `api/released/<version>/`, using
 * `redocly diff`. Prints each breaking change with its operation and location.
 *
 * Exits with 1 when there is one and `info.version` does not allow it: its leftmost non-zero number must be higher than
 * that of the release ([semver](https://semver.org), 4 and 8, like npm's `^`).
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { services } from '@task-manager/dev/repository';

/** The changes of a contract since a release. */
export interface Comparison {
  /** A line of the changelog for each: the operation and its change. */
  changes: string[];
  /** A line for each that may break a client, with its location in the file. */
  breaking: string[];
  /** Whether `info.version` allows them. */
  allowed: boolean;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const problems = await findBreaking(root).catch((error: unknown) => [(error as Error).message]);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

/** The breaking changes that `info.version` does not allow, a line each, and what to do. */
export async function findBreaking(root: string): Promise<string[]> {
  const release = await lastRelease(root);
  if (!release) return [];
  const compared = await Promise.all(services.map((service) => compare(root, service, release)));
  const problems = compared.flatMap(({ breaking, allowed }) => (allowed ? [] : breaking));
  if (problems.length === 0) return [];
  return [
    ...problems,
    `These break clients of ${release}. Take them back, or raise info.version: see CONTRIBUTING.md.`,
  ];
}

/** The highest version in `api/released/`. */
export async function lastRelease(root: string): Promise<string | undefined> {
  const versions = await readdir(`${root}api/released`).catch(() => []);
  return versions.sort(new Intl.Collator('en', { numeric: true }).compare).at(-1);
}

/** Compares a contract with that of a release. Throws Redocly's error when it cannot read one. */
export async function compare(root: string, service: string, release: string): Promise<Comparison> {
  const files = [`api/released/${release}/${service}.yaml`, `api/${service}.yaml`];
  const { output, allowed } = await diff(root, files);
  const changes = output.changes.filter(({ impact }) => impact !== 'patch');
  return {
    changes: changes.flatMap(describe),
    breaking: changes.flatMap((change) =>
      change.verdicts.map(
        ({ message, ruleId, location }) =>
          `${service}: ${locate(change).operation}${message} (${ruleId}, ${location.file}:${location.line})`,
      ),
    ),
    allowed: allowed || output.bump !== 'major',
  };
}

/** The used parts of the output of `redocly diff --format=json`. */
interface Output {
  bump: string;
  changes: Change[];
}

interface Change {
  /** A JSON Pointer through references: `#/paths/~1tasks/get/responses/200/…`. */
  path: string;
  impact: string;
  verdicts: { ruleId: string; message: string; location: { file: string; line: number } }[];
  revision?: { value: unknown };
}

function diff(root: string, files: string[]): Promise<{ output: Output; allowed: boolean }> {
  const cli = createRequire(import.meta.url).resolve('@redocly/cli/bin/cli.js');
  const command = [cli, 'diff', ...files, '--format=json', '--fail-on=none', '--check-version'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, command, { cwd: root, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      if (stdout === '') reject(new Error(`cannot compare ${files.join(' with ')}: ${stderr}`));
      else resolve({ output: JSON.parse(stdout) as Output, allowed: !error });
    });
  });
}

function describe(change: Change): string[] {
  const { operation, route, method, place } = locate(change);
  if (change.verdicts.length > 0) return change.verdicts.map(({ message }) => operation + message);
  // Without a verdict, Redocly rates additions as minor.
  const value = change.revision?.value as { name?: string; url?: string };
  if (route && place.length === 0) return operations(route, (method ? { [method]: value } : value) as PathItem);
  const name = value.name ?? value.url ?? place.at(-1) ?? '';
  const [where = ''] = place;
  return [`${operation}\`${name}\` was added to the ${where.replace('requestBody', 'request body')}.`];
}

/** The operation of a change, as the prefix of a line, and the path within it. */
function locate({ path }: Change): { operation: string; route?: string; method?: string; place: string[] } {
  const [, top, ...rest] = path.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (top !== 'paths') return { operation: '', place: [top ?? '', ...rest] };
  const [route = '', method = '', ...place] = rest;
  return /^(get|post|put|patch|delete)$/.test(method)
    ? { operation: `\`${method.toUpperCase()} ${route}\`: `, route, method, place }
    : { operation: `\`${route}\`: `, route, place: rest.slice(1) };
}

export type PathItem = Record<string, { summary?: string }>;

/** A line for each operation of a path: the operation and its summary. */
export function operations(route: string, item: PathItem): string[] {
  return Object.entries(item).flatMap(([method, { summary }]) =>
    summary ? [`\`${method.toUpperCase()} ${route}\`: ${summary}.`] : [],
  );
}
