/** Tables of reports, from rows of cells; the first row is the header. */

/** As aligned text. Columns of numbers are aligned to the right. */
export function alignedTable(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isText = widths.map((_, column) => rows.slice(1).some((row) => /^[^\d≤≥–]/.test(row[column] ?? '')));
  const pad = (cell: string, column: number) =>
    isText[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** As Markdown. */
export function markdownTable([header = [], ...rows]: string[][]): string {
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
