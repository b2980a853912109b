/** What the repository promises of itself. Each failure says what to do. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { generate } from '../../scripts/generate.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFile(root + path, 'utf8');

describe('generated/', () => {
  it('is what npm run generate makes of api/', async () => {
    for (const [name, text] of await generate(pathToFileURL(root))) {
      const advice = `generated/${name} is stale: run npm run generate, and commit what it writes`;
      expect((await read(`generated/${name}`)) === text ? 'fresh' : advice).toBe('fresh');
    }
  });
});

describe('api/task-service.yaml', () => {
  it('asks of a new task what it asks of a changed one, where it says so twice', async () => {
    const { components } = parse(await read('api/task-service.yaml')) as {
      components: { schemas: { NewTask: { properties: object }; Description: object; Labels: object } };
    };
    const { NewTask, Description, Labels } = components.schemas;
    expect(NewTask.properties).toHaveProperty('description', { ...Description, default: '' });
    expect(NewTask.properties).toHaveProperty('labels', { ...Labels, default: [] });
  });
});

describe('README.md', () => {
  it('names only files and commands that there are', async () => {
    const readme = await read('README.md');
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
    const commands = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(commands.filter((name) => !(name in scripts))).toEqual([]);
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path);
    const files = [...readme.matchAll(/\b(?:scripts|kubernetes|api)\/[\w./-]+\w/g)].map(([path]) => path);
    expect([...links, ...files].filter((path) => !existsSync(root + path))).toEqual([]);
  });

  it('has the settings of a service, with their defaults', async () => {
    const [, settings = ''] = (await read('README.md')).split('## Settings');
    const environment =
      (await read('packages/runtime/src/config.ts')) + (await read('services/task-service/src/config.ts'));
    const defaults = [...environment.matchAll(/^ {2}([A-Z_]+): .*?(?:default: '?([\w:/-]+)'?|desc)/gms)];
    expect(defaults.length).toBeGreaterThan(5);
    for (const [, name = '', value = ''] of defaults) {
      const row = settings
        .split('\n')
        .find((line) => line.includes(`\`${name}\``) || line.includes(`\`${name.replace('POSTGRES', '')}\``));
      expect(row ? '' : `no row for ${name}: add it to README.md`).toBe('');
      expect(row).toContain(value);
    }
  });
});

describe('package.json', () => {
  it('says of each package that would run something when it is installed whether it may', async () => {
    const { allowScripts } = JSON.parse(await read('package.json')) as { allowScripts: Record<string, boolean> };
    const { packages } = JSON.parse(await read('package-lock.json')) as {
      packages: Record<string, { hasInstallScript?: true }>;
    };
    const names = Object.entries(packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => path.replace(/.*node_modules\//, ''));
    const advice = (name: string) =>
      `${name} runs something when it is installed: look at it, and put it into allowScripts`;
    expect(names.filter((name) => !(name in allowScripts)).map(advice)).toEqual([]);
    expect(Object.keys(allowScripts).filter((name) => !names.includes(name))).toEqual([]);
  });
});
