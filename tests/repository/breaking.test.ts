/** `npm run breaking` and `npm run release` on copies of the contracts. */
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseDocument, type Document } from 'yaml';
import { findBreaking } from '../../scripts/breaking.ts';
import { release } from '../../scripts/release.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'breaking-'));
const copy = `${folder}/copy/`;
const read = (path: string) => readFileSync(copy + path, 'utf8');

beforeAll(async () => {
  for (const path of ['api', 'redocly.yaml', 'scripts/redocly-plugin.js'])
    cpSync(root + path, copy + path, { recursive: true });
  rmSync(`${copy}api/released`, { recursive: true, force: true });
  edit('0.1.0', () => undefined);
  await release(copy);
  cpSync(copy, `${folder}/released`, { recursive: true });
});
beforeEach(() => {
  rmSync(copy, { recursive: true });
  cpSync(`${folder}/released`, copy, { recursive: true });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const enumeration = ['components', 'schemas', 'Priority', 'enum'];
const field = { type: ['integer', 'null'], format: 'int32', description: 'How many hours.', minimum: 1, maximum: 1000 };

describe('npm run breaking', () => {
  it.each<[name: string, line: RegExp, change: (contract: Document) => void]>([
    [
      'a removed response field',
      /^task-service: `GET \/tasks`: Property `labels` of `Task` was removed\. \(property-removed, api\/released\/0\.1\.0\/task-service\.yaml:\d+\)$/,
      (contract) => {
        contract.deleteIn(['components', 'schemas', 'Task', 'properties', 'labels']);
        contract.deleteIn(['components', 'schemas', 'Task', 'required', '7']);
      },
    ],
    [
      'a removed request field',
      /^task-service: `POST \/tasks`: Property `labels` of `NewTask` was removed\. /,
      (contract) => contract.deleteIn(['components', 'schemas', 'NewTask', 'properties', 'labels']),
    ],
    [
      'a new required request field',
      /^task-service: `POST \/tasks`: .*required.*`reviewer`.* \(required-properties-added, api\/task-service\.yaml:\d+\)$/,
      (contract) => {
        contract.setIn(['components', 'schemas', 'NewTask', 'properties', 'reviewer'], field);
        contract.addIn(['components', 'schemas', 'NewTask', 'required'], 'reviewer');
      },
    ],
    [
      'a narrower enum',
      /^task-service: `GET \/tasks`: Enum of `priority` lost values: 'high'\. \(enum-values-removed, /,
      (contract) => {
        contract.setIn(enumeration, ['low', 'normal']);
      },
    ],
    [
      'a parameter that becomes required',
      /^task-service: `GET \/tasks`: .*`q`.* \(parameter-became-required, /,
      (contract) => {
        contract.setIn(['paths', '/tasks', 'get', 'parameters', '5', 'required'], true);
      },
    ],
    [
      'a removed operation',
      /^task-service: `DELETE \/tasks\/{taskId}`: .* \(operation-removed, /,
      (contract) => contract.deleteIn(['paths', '/tasks/{taskId}', 'delete']),
    ],
  ])('reports %s', async (_name, line, change) => {
    edit('0.1.0', change);
    const lines = await findBreaking(copy);
    expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(line)]));
    expect(lines.at(-1)).toMatch(/^These break clients of 0\.1\.0\. /);
  });

  it('allows changes that are compatible with every client', async () => {
    edit('0.1.0', (contract) => {
      contract.setIn(['components', 'schemas', 'NewTask', 'properties', 'reviewer'], { ...field, default: null });
      contract.setIn(['components', 'schemas', 'Task', 'properties', 'reviewer'], field);
      contract.addIn(['components', 'schemas', 'Task', 'required'], 'reviewer');
      contract.setIn(['components', 'schemas', 'Title', 'description'], 'What to do.');
      contract.setIn(['components', 'schemas', 'Title', 'examples'], ['Buy bread']);
    });
    expect(await findBreaking(copy)).toEqual([]);
  });

  it.each([
    ['0.1.0', '0.1.1', false],
    ['0.1.0', '0.2.0', true],
    ['1.1.0', '1.2.0', false],
    ['1.1.0', '2.0.0', true],
  ])('compares %s with %s; breaking changes allowed: %s', async (before, after, allowed) => {
    edit(after, (contract) => {
      contract.setIn(enumeration, ['low', 'normal']);
    });
    const released = `api/released/${before}/`;
    renameSync(`${copy}api/released/0.1.0`, copy + released);
    const contract = parseDocument(read(`${released}task-service.yaml`));
    contract.setIn(['info', 'version'], before);
    writeFileSync(`${copy}${released}task-service.yaml`, contract.toString());
    expect((await findBreaking(copy)).length > 0).toBe(!allowed);
  });
});

describe('npm run release', () => {
  it('copies the first contracts and lists their operations', () => {
    expect(read('api/released/0.1.0/user-service.yaml')).toContain('operationId: registerUser');
    expect(read('CHANGELOG.md')).toMatch(
      /^# Changelog\n\n## 0\.1\.0\n\n- Sentences\.\n\n### API\n\n- Task service, `POST \/tasks`: Create a task\.\n/,
    );
  });

  it('writes the API changes to the section of the version', async () => {
    const first = read('CHANGELOG.md').slice('# Changelog\n'.length);
    edit('0.2.0', (contract) => {
      contract.setIn(['components', 'schemas', 'NewTask', 'properties', 'reviewer'], { ...field, default: null });
      contract.deleteIn(['paths', '/tasks/{taskId}', 'delete']);
      contract.setIn(['paths', '/tasks/count'], {
        get: { operationId: 'countTasks', summary: 'Count tasks', responses: {} },
      });
    });
    expect(await release(copy)).toBe('0.2.0');
    expect(read('CHANGELOG.md')).toBe(`# Changelog

## 0.2.0

- Sentences.

### API

- Task service, \`POST /tasks\`: \`reviewer\` was added to the request body.
- Task service, \`GET /tasks/count\`: Count tasks.
- Task service, \`DELETE /tasks/{taskId}\`: Operation \`DELETE /tasks/{taskId}\` was removed.
${first}`);
  });

  it.each([
    ['a version that is already released', '0.1.0', '0.1.0', /^0\.1\.0 is released: /],
    [
      'a version that differs from the contracts',
      '0.1.1',
      '0.1.0',
      /^api\/task-service\.yaml has the version 0\.1\.0, package\.json 0\.1\.1: /,
    ],
    [
      'a breaking change without a major version',
      '0.1.1',
      '0.1.1',
      /^task-service: `GET \/tasks`: Enum of `priority` /,
    ],
  ])('rejects %s', async (_name, version, contracts, message) => {
    edit(contracts, (contract) => {
      contract.setIn(enumeration, ['low', 'normal']);
    });
    writeFileSync(`${copy}package.json`, JSON.stringify({ version }));
    const before = read('CHANGELOG.md');
    await expect(release(copy)).rejects.toThrow(message);
    expect(read('CHANGELOG.md')).toBe(before);
  });

  it('rejects a version that is missing from the changelog', async () => {
    edit('0.1.1', () => undefined);
    writeFileSync(`${copy}CHANGELOG.md`, '# Changelog\n\n## 0.1.10\n');
    await expect(release(copy)).rejects.toThrow('CHANGELOG.md has no "## 0.1.1"');
  });
});

/** Sets the version of the copy, in the changelog too, and changes its task service contract. */
function edit(version: string, change: (contract: Document) => void): void {
  for (const service of ['task-service', 'user-service']) {
    const contract = parseDocument(read(`api/${service}.yaml`));
    contract.setIn(['info', 'version'], version);
    if (service === 'task-service') change(contract);
    writeFileSync(`${copy}api/${service}.yaml`, contract.toString({ lineWidth: 0 }));
  }
  writeFileSync(`${copy}package.json`, JSON.stringify({ version }));
  const changelog = version === '0.1.0' ? '# Changelog\n' : read('CHANGELOG.md');
  writeFileSync(
    `${copy}CHANGELOG.md`,
    changelog.replace('# Changelog\n', `# Changelog\n\n## ${version}, not yet released\n\n- Sentences.\n`),
  );
}
