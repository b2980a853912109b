/** What `npm start` shows: each line behind the name of who wrote it, coloured by service on a terminal. */
import { basename } from 'node:path';
import { styleText } from 'node:util';
import { prettyFactory } from 'pino-pretty';

export type Style = Parameters<typeof styleText>[0];

const colorize = process.stdout.isTTY && process.stdout.hasColors();
const script = basename(process.argv[1] ?? '', '.js');
const launcher = script === 'start' ? 'npm start' : script;
const nameWidth = 15;
const pretty = prettyFactory({
  colorize,
  singleLine: true,
  ignore: 'pid,hostname,service',
  translateTime: 'SYS:HH:MM:ss',
});

// The terminal may be closed before everything has stopped.
process.stdout.on('error', () => undefined);

/** Says something in the launcher's own name. */
export function say(text: string): void {
  printLine(launcher, 'bold', text);
}

/** Prints a line that a replica wrote: of pino's JSON what a reader needs, anything else as it is. */
export function printLine(name: string, style: Style, line: string): void {
  const prefix = name.padEnd(nameWidth);
  for (const each of readable(line).split('\n')) {
    process.stdout.write(`${colorize ? styleText(style, prefix) : prefix} ${each}\n`);
  }
}

/** What a service writes; of a request, the fields after `err`. */
interface Entry {
  level: number;
  msg?: string;
  err?: { message: string };
  operation?: string;
  method?: string;
  path?: string;
  status?: number;
  durationMs?: number;
  requestId?: string;
}

const errorLevel = 50;

function readable(line: string): string {
  let entry: Entry | null;
  try {
    entry = JSON.parse(line) as Entry | null;
  } catch {
    return line;
  }
  if (typeof entry !== 'object' || !entry) return line;
  if (entry.msg === 'request') {
    const { operation = '-', method, path, status, durationMs, requestId, ...rest } = entry;
    entry = { ...rest, msg: [method, path, status, `${durationMs} ms`, operation, requestId].join(' ') };
  }
  if (entry.err && entry.level < errorLevel) {
    // What the service expects to happen needs no stack.
    const { err, ...rest } = entry;
    entry = { ...rest, msg: `${entry.msg}: ${err.message}` };
  }
  return pretty(entry).trimEnd();
}
