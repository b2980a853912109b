/** Keeps measurements in a Markdown file, as `--write` of a script does. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';

/**
 * Replaces the text between `<!-- COMMAND -->` and `<!-- end of COMMAND -->` by a heading line and a table, and formats the
 * file. The first row is the header; `columns` aligns each column: `---` or `---:`. Throws when the file lacks the markers.
 */
export async function writeTable(
  file: string,
  command: string,
  heading: string,
  columns: string[],
  rows: string[][],
): Promise<void> {
  const [begin, end] = [`<!-- ${command} -->`, `<!-- end of ${command} -->`];
  const before = await readFile(file, 'utf8');
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table: add the lines ${begin} and ${end}`);
  const [header = [], ...others] = rows.map((cells) => cells.map((cell) => cell.replaceAll('|', String.raw`\|`)));
  const table = [header, columns, ...others].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const after = `${before.slice(0, from + begin.length)}\n\n${heading}\n\n${table}\n\n${before.slice(to)}`;
  await writeFile(file, await format(after, { ...(await resolveConfig(file)), filepath: file }));
}
