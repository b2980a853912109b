/** Generated files, links, file names, duplicated rules, the README and the install scripts. Each failure says what to do. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { generate } from '../../scripts/generate.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFile(root + path, 'utf8');

describe('generated/', () => {
  it('is the output of npm run generate', async () => {
    for (const [name, text] of await generate(pathToFileURL(root))) {
      const advice = `generated/${name} is stale: run npm run generate and commit the result`;
      expect((await read(`generated/${name}`)) === text ? 'fresh' : advice).toBe('fresh');
    }
  });
});

describe('api/task-service.yaml', () => {
  it('has the same rules for a new and an updated task where they are written twice', async () => {
    const { components } = parse(await read('api/task-service.yaml')) as {
      components: { schemas: { NewTask: { properties: object }; Description: object; LabelsInput: object } };
    };
    const { NewTask, Description, LabelsInput } = components.schemas;
    expect(NewTask.properties).toHaveProperty('description', { ...Description, default: '' });
    expect(NewTask.properties).toHaveProperty('labels', { ...LabelsInput, default: [] });
  });
});

describe('README.md', () => {
  it('names only commands that package.json has', async () => {
    const readme = await read('README.md');
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
    const commands = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(commands.filter((name) => !(name in scripts))).toEqual([]);
  });

  it('lists the settings of a service with their defaults', async () => {
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
      if (value !== 'undefined') expect(row).toContain(value);
    }
  });
});

describe('package.json', () => {
  it('allows or denies the install script of each package that has one', async () => {
    const { allowScripts } = JSON.parse(await read('package.json')) as { allowScripts: Record<string, boolean> };
    const { packages } = JSON.parse(await read('package-lock.json')) as {
      packages: Record<string, { hasInstallScript?: true }>;
    };
    const names = Object.entries(packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => path.replace(/.*node_modules\//, ''));
    const advice = (name: string) => `${name} has an install script: review it and add it to allowScripts`;
    expect(names.filter((name) => !(name in allowScripts)).map(advice)).toEqual([]);
    expect(Object.keys(allowScripts).filter((name) => !names.includes(name))).toEqual([]);
  });
});

/** Words in the form of a file name that name no file of the repository. */
const otherNames: Record<string, string> = {
  'Node.js': 'a product',
  'roles.sql': 'a key of the ConfigMap postgres-init',
  'services/task-service/migrations/0009-add-estimate.sql': 'the README lets its reader create it',
  '0007-drop-the-labels.breaking.sql': 'an example of a name',
  'kubernetes/*.yaml.bak': 'the sed command next to it creates these',
  'task.yaml': 'the configuration of a generator, decision 010',
  'task.py': 'the output of a generator, decision 010',
};

describe('every tracked Markdown, YAML and TOML file', () => {
  const git = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', git, { cwd: root, encoding: 'utf8' }).split('\n').filter(isFile);
  const folders = files.flatMap((file) => [...file.matchAll(/\//g)].map(({ index }) => file.slice(0, index)));
  const paths = new Set([...files, ...folders]);
  /** Each path and each end of one: `lane.ts`, `src/lane.ts`. */
  const names = new Set(
    [...paths].flatMap((path) => path.split('/').map((_, from, parts) => parts.slice(from).join('/'))),
  );
  const topFolders = [...paths].filter((path) => folders.includes(path) && !path.includes('/'));
  const ignoredFolders = linesOf('.gitignore').filter((line) => line.endsWith('/'));

  // Released contracts are never edited. The bundles repeat api/, which is checked.
  const excluded = /^(api\/released|generated)\//;
  const documents = files.filter((file) => /\.(md|ya?ml|toml)$/.test(file) && !excluded.test(file));

  it('links to files that exist', () => {
    const broken = linksOf(documents).filter(({ path }) => !paths.has(path));
    expect(broken.map(({ place, link }) => `${place}: nothing is at ${link}: correct the link`)).toEqual([]);
  });

  it('links to headings that exist', () => {
    const broken = linksOf(documents).filter(
      ({ path, anchor }) => anchor && path.endsWith('.md') && paths.has(path) && !anchorsOf(path).includes(anchor),
    );
    const advice = ({ place, path, anchor }: Link) =>
      `${place}: ${path} has no heading for #${anchor}: use one of ${anchorsOf(path).join(', ')}`;
    expect(broken.map(advice)).toEqual([]);
  });

  it('names files that exist', () => {
    const wrong = documents.flatMap((file) =>
      linesOf(file).flatMap((line, index) =>
        fileNamesIn(line)
          .filter((name) => !(name in otherNames) && !isNamed(name, file))
          .map((name) => `${file}:${index + 1}: no file is named ${name}: correct it, or add it to otherNames`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('needs each exception', () => {
    const text = documents.map((file) => linesOf(file).join('\n')).join('\n');
    const advice = (name: string) => `${name} is in no file any more: remove it from otherNames`;
    expect(
      Object.keys(otherNames)
        .filter((name) => !text.includes(name))
        .map(advice),
    ).toEqual([]);
  });

  /** What ends like a source file, or begins with a folder of the repository. Addresses and placeholders are no names. */
  function fileNamesIn(line: string): string[] {
    const words = line.replaceAll(/\w+:\/\/\S+/g, '').match(/[\w.@*/<>…${}-]*[\w*/]/g) ?? [];
    return words.filter((word) => {
      if (/^\/|[<>…${}]/.test(word)) return false;
      const ends = /\.([cm]?[jt]s|py|sh|md|ya?ml|toml|json|sql|css|svg|txt)$/.test(word);
      return ends || topFolders.some((folder) => word.startsWith(`${folder}/`));
    });
  }

  /** By its path from the root or from the file, or by the end of its path. */
  function isNamed(name: string, file: string): boolean {
    if (ignoredFolders.some((folder) => name.startsWith(folder))) return true;
    const path = posix.normalize(name).replace(/\/$/, '');
    if (names.has(path) || paths.has(posix.join(posix.dirname(file), path))) return true;
    const pattern = path.replaceAll(/[.]/g, '\\.').replaceAll('*', '[^/]*');
    return path.includes('*') && [...names].some((each) => RegExp(`^${pattern}$`).test(each));
  }
});

interface Link {
  place: string;
  link: string;
  path: string;
  anchor: string;
}

/** The links of these files to files of the repository. In YAML, one that begins with / is an address of a service. */
function linksOf(files: string[]): Link[] {
  return files.flatMap((file) =>
    withoutCode(file).flatMap((line, index) =>
      [...line.matchAll(/\]\(([\w./#-][^)\s]*)|^\[[^\]]+\]: (\S+)/g)]
        .map(([, inline, reference]) => inline ?? reference ?? '')
        .filter((link) => !/^(\w+:|\/)/.test(link))
        .map((link) => {
          const [target = '', anchor = ''] = link.split('#');
          const path = target ? posix.join(posix.dirname(file), target).replace(/\/$/, '') : file;
          return { place: `${file}:${index + 1}`, link, path, anchor };
        }),
    ),
  );
}

/** As GitHub makes them from the headings: the text in lower case without punctuation, hyphens for spaces. */
function anchorsOf(file: string): string[] {
  const headings = withoutCode(file).flatMap((line) => /^#{1,6} (.+)$/.exec(line)?.[1] ?? []);
  const slugs = headings.map((heading) => {
    const text = heading.replaceAll(/\[(.*?)\]\(.*?\)/g, '$1').toLowerCase();
    return text.replaceAll(/[^\p{L}\p{M}\p{N}_ -]/gu, '').replaceAll(' ', '-');
  });
  return slugs.map((slug, index) => {
    const before = slugs.slice(0, index).filter((each) => each === slug).length;
    return before ? `${slug}-${before}` : slug;
  });
}

/** The lines of a file, those between ``` empty. */
function withoutCode(file: string): string[] {
  let inCode = false;
  return linesOf(file).map((line) => {
    const fence = /^ *```/.test(line);
    if (fence) inCode = !inCode;
    return fence || inCode ? '' : line;
  });
}

function linesOf(file: string): string[] {
  return readFileSync(root + file, 'utf8').split('\n');
}

/** One that git lists may be deleted. */
function isFile(path: string): boolean {
  return path !== '' && existsSync(root + path);
}
