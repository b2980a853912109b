/** Tables of reports, from rows of cells; the first row is the header. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';

/** As aligned text. Columns of numbers are aligned to the right. */
export function alignedTable(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isText = widths.map((_, column) => rows.slice(1).some((row) => /^[^-\d≤≥–]/.test(row[column] ?? '')));
  const pad = (cell: string, column: number) =>
    isText[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** As Markdown. */
export function markdownTable([header = [], ...rows]: string[][]): string {
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

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
