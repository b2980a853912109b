/** Logs: one JSON object a line on standard output, one line for each finished request. */
import type { ServerResponse } from 'node:http';
import { pino, type Logger } from 'pino';
import { contextOf, pathOf, type Stage } from './context.ts';
import { healthOperations } from './health.ts';
import type { Metrics } from './metrics.ts';

export type { Logger };

export function createLogger(service: string, level: string): Logger {
  return pino({ level, base: { service }, timestamp }, { write });
}

let time = { ms: 0, text: '' };

function timestamp(): string {
  const ms = Date.now();
  if (ms !== time.ms) time = { ms, text: `,"time":"${new Date(ms).toISOString()}"` };
  return time.text;
}

const output = pino.destination({ sync: true });
let pending = '';

/** Writes the lines of one turn of the event loop together. The exit of the process loses none. */
function write(line: string): void {
  if (pending === '') setImmediate(flush);
  pending += line;
}

function flush(): void {
  if (pending !== '') output.write(pending);
  pending = '';
}

process.once('exit', flush);

export interface RequestLog {
  logFinished: Stage;
  /** Counts a request rejected under overload. A line for each would cost too much: one line a second has their number. */
  rejected(res: ServerResponse): void;
}

export function createRequestLog(logger: Logger, { requestDuration }: Metrics): RequestLog {
  let rejected = 0;

  function record({ statusCode: status }: ServerResponse, operationId: string | undefined, startedMs: number): number {
    const durationMs = performance.now() - startedMs;
    requestDuration.observe({ operation: operationId ?? 'none', status }, durationMs / 1000);
    return durationMs;
  }

  function logRequest(this: ServerResponse): void {
    const { requestId, operation, url, startedMs, error, isHead } = contextOf(this);
    const operationId = operation?.operationId;
    const durationMs = record(this, operationId, startedMs);
    const level = levelOf(operationId, url, this.statusCode);
    if (!logger.isLevelEnabled(level)) return;
    logger[level](
      {
        requestId,
        operation: operationId,
        method: isHead ? 'HEAD' : this.req.method,
        path: pathOf(url),
        status: this.statusCode,
        durationMs: Math.round(durationMs),
        ...(this.writableFinished ? undefined : { aborted: true }),
        ...(error && { err: error }),
      },
      'request',
    );
  }

  return {
    logFinished(_req, res, next) {
      res.on('close', logRequest);
      next();
    },

    rejected(res) {
      record(res, undefined, contextOf(res).startedMs);
      rejected += 1;
      if (rejected > 1) return;
      setTimeout(() => {
        logger.warn({ rejected }, 'rejected requests: the service is overloaded');
        rejected = 0;
      }, 1000).unref();
    },
  };
}

/** An unavailable database is no fault of the service: 503 is a warning. */
function levelOf(operationId: string | undefined, url: string, status: number): 'debug' | 'info' | 'warn' | 'error' {
  if (isRoutine(operationId, url, status)) return 'debug';
  if (status === 503) return 'warn';
  return status >= 500 ? 'error' : 'info';
}

/** Health checks and successful polls of a feed repeat every few seconds. */
function isRoutine(operationId: string | undefined, url: string, status: number): boolean {
  return healthOperations.has(operationId) || (status < 400 && /\/feed\?.*wait=/.test(url));
}
