/** Logs: one JSON object a line on standard output; of a request, one line when it is answered. */
import { pino, type Logger } from 'pino';
import { pathOf, type Outgoing } from './context.ts';
import { isHealth } from './health.ts';

export type { Logger };

/** `level` as pino names them. */
export function createLogger(service: string, level: string): Logger {
  return pino({ level, base: { service }, timestamp }, { write });
}

/** Written once for all lines of the same millisecond. */
let time = { ms: 0, text: '' };

function timestamp(): string {
  const ms = Date.now();
  if (ms !== time.ms) time = { ms, text: `,"time":"${new Date(ms).toISOString()}"` };
  return time.text;
}

const output = pino.destination({ sync: true });
let gathered = '';

/** The lines of one turn of the event loop are written together: none waits longer, and none is lost when the process ends. */
function write(line: string): void {
  if (gathered === '') setImmediate(flush);
  gathered += line;
}

function flush(): void {
  if (gathered !== '') output.write(gathered);
  gathered = '';
}

process.once('exit', flush);

/** Logs a request that is over with its operation, status, duration in milliseconds and request id. */
export function logRequest(logger: Logger, res: Outgoing): void {
  const { requestId, operation, url, beganMs, error, head } = res.locals;
  const level = levelOf(url, res.statusCode);
  if (!logger.isLevelEnabled(level)) return;
  logger[level](
    {
      requestId,
      operation: operation?.operationId,
      method: head ? 'HEAD' : res.req.method,
      path: pathOf(url),
      status: res.statusCode,
      durationMs: Math.round(performance.now() - beganMs),
      ...(res.writableFinished ? undefined : { aborted: true }),
      ...(error && { err: error }),
    },
    'request',
  );
}

/** Makes a function that counts a refused request: one line a second says how many there were, as a line each would cost too much. */
export function refusalLog(logger: Logger): () => void {
  let refused = 0;
  return () => {
    refused += 1;
    if (refused > 1) return;
    setTimeout(() => {
      logger.warn({ refused }, 'refused what was too much to do');
      refused = 0;
    }, 1000).unref();
  };
}

/** That the database is away is no fault of the service, and would be said at each request. */
function levelOf(url: string, status: number): 'debug' | 'info' | 'warn' | 'error' {
  if (isRoutine(url, status)) return 'debug';
  if (status === 503) return 'warn';
  return status >= 500 ? 'error' : 'info';
}

/** Orchestrators ask for the health every few seconds, and followers for what is new. */
function isRoutine(url: string, status: number): boolean {
  return isHealth(url) || (/\/feed\?.*wait=/.test(url) && status < 400);
}
