/** The output of `npm start`: each line after the name of the process that wrote it, coloured on a terminal. */
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

// The terminal may close before everything has stopped.
process.stdout.on('error', () => undefined);

/** Prints a line of the launcher. */
export function say(text: string): void {
  printLine(launcher, 'bold', text);
}

/** Prints a line of a replica: pino's JSON as readable text, anything else unchanged. */
export function printLine(name: string, style: Style, line: string): void {
  const prefix = name.padEnd(nameWidth);
  for (const each of readable(line).split('\n')) {
    process.stdout.write(`${colorize ? styleText(style, prefix) : prefix} ${each}\n`);
  }
}

/** A log entry of a service. The fields after `err` describe a request. */
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
    // Expected errors need no stack.
    const { err, ...rest } = entry;
    entry = { ...rest, msg: `${entry.msg}: ${err.message}` };
  }
  return pretty(entry).trimEnd();
}
