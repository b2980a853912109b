/**
 * `npm run release`: copies the contracts of the version in package.json to `api/released/<version>/`, and writes their
 * changes since the last release to CHANGELOG.md, as `### API` below the version's heading.
 *
 * Exits with 1 and writes nothing when the contracts have another version, when the version is already released, when it
 * has no heading in CHANGELOG.md, or when it does not allow a breaking change.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { services } from '@task-manager/dev/repository';
import { parse } from 'yaml';
import { compare, findBreaking, lastRelease, operations, type PathItem } from './breaking.ts';
import { generate } from './generate.ts';

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const version = await release(fileURLToPath(new URL('../../', import.meta.url)));
    console.log(`wrote api/released/${version}/ and CHANGELOG.md: read and commit them`);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}

/** Releases the contracts in `root`, the repository's folder, and returns their version. */
export async function release(root: string): Promise<string> {
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { version: string };
  const files = await generate(new URL(`file://${root}`));
  const contracts = services.map((service) => ({ service, text: files.get(`${service}.yaml`) ?? '' }));
  await assertReleasable(root, version, contracts);

  const last = await lastRelease(root);
  const changes: string[] = [];
  for (const contract of contracts) changes.push(...(await changesOf(root, contract, last)));
  const changelog = await readFile(`${root}CHANGELOG.md`, 'utf8');
  await writeFile(`${root}CHANGELOG.md`, withApi(changelog, version, changes));

  await mkdir(`${root}api/released/${version}`, { recursive: true });
  for (const { service, text } of contracts) {
    const released = text.replace(/^#.*/, `# ${service} as released in ${version}: never edited.`);
    await writeFile(`${root}api/released/${version}/${service}.yaml`, released);
  }
  return version;
}

interface Contract {
  service: string;
  text: string;
}

async function assertReleasable(root: string, version: string, contracts: Contract[]): Promise<void> {
  for (const { service, text } of contracts) {
    const { info } = parse(text) as { info: { version: string } };
    if (info.version !== version) {
      throw new Error(
        `api/${service}.yaml has the version ${info.version}, package.json ${version}: make them the same`,
      );
    }
  }
  if (existsSync(`${root}api/released/${version}`)) {
    throw new Error(`${version} is released: raise the version in package.json and in the contracts`);
  }
  if (!sectionOf(version).test(await readFile(`${root}CHANGELOG.md`, 'utf8'))) {
    throw new Error(`CHANGELOG.md has no "## ${version}": describe there what changes for users`);
  }
  const problems = await findBreaking(root);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

/** The changes of a contract, a line each; in the first release all operations. */
async function changesOf(root: string, { service, text }: Contract, last: string | undefined): Promise<string[]> {
  const { info, paths } = parse(text) as { info: { title: string }; paths: Record<string, PathItem> };
  const changes = last
    ? (await compare(root, service, last)).changes
    : Object.entries(paths).flatMap(([route, item]) => operations(route, item));
  return changes.map((change) => `- ${info.title}, ${change}`);
}

/** Replaces the `### API` section of the version in the changelog. */
function withApi(changelog: string, version: string, changes: string[]): string {
  const part = sectionOf(version).exec(changelog)?.[0] ?? '';
  const [sentences = ''] = part.replace(', not yet released', '').split('\n### API\n');
  const api = changes.length > 0 ? changes.join('\n') : 'Nothing has changed.';
  return changelog.replace(part, () => `${sentences.trimEnd()}\n\n### API\n\n${api}\n`);
}

/** Matches the section of a version in the changelog. */
function sectionOf(version: string): RegExp {
  return new RegExp(`^## ${version.replaceAll('.', '\\.')}(?![\\d.])[^]*?(?=\n## |$(?![^]))`, 'm');
}
