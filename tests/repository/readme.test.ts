/** Runs the README's commands against a system on another port. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startSystem, type System } from '@task-manager/testing/system';

const root = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(`${root}README.md`, 'utf8');
const lines = [...readme.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, block = '']) => block.trim().split('\n'));
const curls = lines.filter((line) => line.startsWith('curl ') && line.includes('http://localhost:8080'));

const story = readme.indexOf('## A short story');
const requests = curls.filter((line) => !line.includes('"title":""') && readme.indexOf(line) < story);

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.stop());

async function run(line: string): Promise<string> {
  const here = line.replaceAll('http://localhost:8080', system.url).replace(/^curl /, 'curl --silent --show-error ');
  return (await promisify(execFile)('sh', ['-c', here], { cwd: root })).stdout;
}

describe('README.md', () => {
  it.each(requests)('has a command that succeeds: %s', async (line) => {
    const [, json = ''] =
      /^(?:HTTP[^]*?\r\n\r\n)?([^]*)$/.exec(await run(line.replace(/^curl /, 'curl --fail '))) ?? [];
    const body = JSON.parse(json) as object;
    if (line.includes('register')) expect(body).toMatchObject({ name: 'Alice', email: 'alice@example.com' });
    else if (line.includes('-X POST')) expect(body).toMatchObject({ title: 'Buy milk', status: 'todo' });
    else if (line.includes('health')) expect(body).toEqual({ status: 'ok' });
    else expect(body).toMatchObject({ items: expect.arrayContaining([expect.anything()]), nextCursor: null });
  });

  it('has curl commands for both services', () => {
    expect(curls.length).toBeGreaterThanOrEqual(6);
  });

  it('has a walkthrough with the described results', async () => {
    const [, story = ''] = /## A short story[^]*?```sh\n([^]*?)```/.exec(readme) ?? [];
    const output = await run(story.trimEnd().replace(/^curl (.*)$/gm, 'curl $1; echo'));
    const bodies = output.split('\n').flatMap((line) => (line ? [JSON.parse(line) as object] : []));
    expect(bodies).toMatchObject([
      { title: 'Prepare the review', status: 'done', assigneeId: expect.any(String), version: 2 },
      { status: 412, title: 'Stale version' },
      { status: 'done', assigneeId: null, version: 3 },
      { items: expect.arrayContaining([expect.objectContaining({ type: 'task.updated' })]) },
    ]);
  });

  it('shows the problem that the service returns', async () => {
    const [, shown = ''] = /^```json\n([^]*?)^```/m.exec(readme) ?? [];
    const problem = JSON.parse(await run(curls.find((line) => line.includes('"title":""')) ?? '')) as object;
    const { requestId } = JSON.parse(shown) as { requestId: string };
    expect({ ...problem, requestId }).toEqual(JSON.parse(shown));
  });

  it('has a demo script that succeeds', async () => {
    expect(await run(`scripts/demo.sh ${system.url}`)).toContain('all as expected');
  });
});
