/** Logs: one JSON object a line on standard output; of a request, one line when it is answered. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { pino, type Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import type { Operation } from './contract.ts';
import { newId } from './ids.ts';

export type { Logger };

/** `level` as pino names them. */
export function createLogger(service: string, level: string): Logger {
  return pino({ level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime });
}

/**
 * Logs each request with its operation, status, duration in milliseconds and request id. The id is the `X-Request-Id`
 * that came with it, if it fits the contract, or a new one; it goes back in the answer.
 */
export function logRequests(logger: Logger): RequestHandler {
  return pinoHttp({
    logger,
    genReqId(req, res) {
      const given = req.headers['x-request-id'];
      const id = typeof given === 'string' && /^[A-Za-z0-9._~:/+=@-]{1,128}$/.test(given) ? given : newId();
      res.setHeader('X-Request-Id', id);
      return id;
    },
    quietReqLogger: true,
    customLogLevel: (req, res) => levelOf(req, res),
    customAttributeKeys: { responseTime: 'durationMs', reqId: 'requestId' },
    customSuccessMessage: () => 'request',
    customErrorMessage: () => 'request',
    customSuccessObject: (_req, res, line: object) => ({ ...line, ...facts(res) }),
    customErrorObject: (_req, res, error, line: object) => ({ ...line, ...facts(res), err: error }),
    wrapSerializers: false,
    serializers: { req: () => undefined, res: () => undefined },
  });
}

function facts(res: ServerResponse & { req?: IncomingMessage }) {
  const { locals, req } = res as Response;
  return {
    operation: (locals.operation as Operation | undefined)?.operationId,
    method: req.method,
    path: (req as Request).originalUrl.split('?', 1)[0],
    status: res.statusCode,
  };
}

/** That the database is away is no fault of the service, and would be said at each request. */
function levelOf(req: IncomingMessage, res: ServerResponse): 'debug' | 'info' | 'warn' | 'error' {
  if (isRoutine(req, res)) return 'debug';
  if (res.statusCode === 503) return 'warn';
  return res.statusCode >= 500 ? 'error' : 'info';
}

/** Orchestrators ask for the health every few seconds, and followers for what is new. */
function isRoutine({ url = '' }: IncomingMessage, res: ServerResponse): boolean {
  return /\/health(\/live)?$/.test(url) || (/\/feed\?.*wait=/.test(url) && res.statusCode < 400);
}
