import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import getPort from 'get-port';
import { parse } from 'yaml';

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const { workflows } = parse(readFileSync(file('../../api/workflows.arazzo.yaml'), 'utf8')) as { workflows: object[] };

const run = (...args: string[]) =>
  promisify(execFile)(process.execPath, [file('../dist/workflows/workflows.js'), ...args], {
    env: { ...process.env, NO_COLOR: '1' },
  });

describe('npm run workflows', () => {
  it('plays every story on a system of its own', async () => {
    const { stdout } = await run();
    expect(stdout).toContain(`Workflows: ${workflows.length} passed, ${workflows.length} total`);
  });

  it('exits with 1 when a system does not do what the stories tell', async () => {
    await expect(run(`http://localhost:${await getPort()}`)).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining(`Workflows: ${workflows.length} failed, ${workflows.length} total`),
    });
  });
});
