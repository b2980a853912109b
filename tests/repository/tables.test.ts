/** What `--write` of the scorecard and of the test on a cluster does to a file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { writeTable } from '@task-manager/testing/tables';

const folder = mkdtempSync(join(tmpdir(), 'markdown-table-'));
const file = join(folder, 'results.md');
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const write = () =>
  writeTable(
    file,
    'npm run x',
    'Today:',
    ['---', '---:'],
    [
      ['What', 'Took'],
      ['a|b', '1.0 s'],
    ],
  );

describe('writeTable', () => {
  it('replaces what is between the markers, keeps the rest, and formats the file', async () => {
    const around = (between: string) =>
      `# Results\n\n<!-- npm run x -->\n\n${between}\n\n<!-- end of npm run x -->\n\nMore.\n`;
    writeFileSync(file, around('Yesterday: 2 s'));
    await write();
    const table = ['| What |  Took |', '| ---- | ----: |', '| a\\|b | 1.0 s |'].join('\n');
    expect(readFileSync(file, 'utf8')).toBe(around(`Today:\n\n${table}`));
    await write();
    expect(readFileSync(file, 'utf8')).toBe(around(`Today:\n\n${table}`));
  });

  it('names the file and the missing markers, and writes nothing, when it has none', async () => {
    writeFileSync(file, '# Results\n');
    await expect(write()).rejects.toThrow(`${file} has no place for the table: add the lines <!-- npm run x -->`);
    expect(readFileSync(file, 'utf8')).toBe('# Results\n');
  });
});
