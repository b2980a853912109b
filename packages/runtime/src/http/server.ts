/** The HTTP server: rejects what is not HTTP/1.1 (RFC 9112), and clients that are too slow. */
import { createServer, IncomingMessage, ServerResponse, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { HttpError } from '../errors.ts';
import { hasBody, type Listener } from './context.ts';

export interface ServerOptions {
  serve: Listener;
  /** Responds to an invalid request. What could not be parsed is absent: there may be no method and no headers. */
  reject: (req: IncomingMessage, res: ServerResponse, reason: HttpError) => void;
  IncomingMessage?: typeof IncomingMessage;
  ServerResponse?: typeof ServerResponse<IncomingMessage>;
}

/** As many as Apache allows. Node drops those after the thousandth silently. */
const maxHeaders = 100;
const lingerMs = 1000;

export const timeouts = {
  headersTimeout: 5000,
  // To the end of the body: 1 MB needs 1.4 Mbit/s.
  requestTimeout: 6000,
  connectionsCheckingInterval: 500,
  // Longer than the proxies in front keep idle connections (nginx 60 s, Traefik 90 s), or a POST meets a closing one.
  keepAliveTimeout: 95_000,
};

/** Calls `serve` for each valid request. A reader of a truncated body gets an `error` event. */
export function createHttpServer(options: ServerOptions): Server {
  const { serve, reject, ...classes } = { IncomingMessage, ServerResponse, ...options };
  const server = createServer({ ...timeouts, ...classes, requireHostHeader: false, optimizeEmptyRequests: true });
  closeStalled(server);
  const responses = new WeakMap<Socket, ServerResponse>();
  const unparsable = new WeakSet<Socket>();

  function handle(req: IncomingMessage, res: ServerResponse): void {
    responses.set(req.socket, res);
    res.on('prefinish', stopReading);
    if (!req.url?.startsWith('/')) req.url = originForm(req);
    const reason = findFault(req);
    if (reason) reject(req, res, reason);
    else serve(req, res);
  }

  function respondLast(socket: Socket, req: IncomingMessage, respond: Listener): void {
    const res = new classes.ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.on('finish', () => {
      closeLingering(socket);
    });
    respond(req, res);
  }

  function rejectUnparsable(error: ParseError, socket: Socket): void {
    if (!socket.writable) return;
    const req = new classes.IncomingMessage(socket);
    const line = requestLineOf(error, !responses.has(socket) && error.rawPacket?.length === socket.bytesRead);
    Object.assign(req, line);
    respondLast(socket, req, (_, res) => {
      // The service responds to a method that Node does not know as to any other that the path does not have.
      if (line && error.code === 'HPE_INVALID_METHOD') serve(req, res);
      else reject(req, res, reasonOf(error));
    });
  }

  server.on('request', handle).on('checkContinue', handle).on('checkExpectation', handle);
  // CONNECT names a host and no path of the service (RFC 9110 §9.3.6).
  server.on('connect', (req, socket: Socket) => {
    socket.on('error', () => socket.destroy());
    req.url = '/';
    respondLast(socket, req, serve);
  });
  server.on('clientError', (error: ParseError, socket: Socket) => {
    if (unparsable.has(socket)) return;
    unparsable.add(socket);
    const last = responses.get(socket);
    if (!canRespond(error, socket) || !socket.writable) socket.destroy();
    else if (last && !last.req.complete) abortBody(last, reasonOf(error));
    else if (!last || last.closed) rejectUnparsable(error, socket);
    else
      last.once('close', () => {
        rejectUnparsable(error, socket);
      });
  });
  return server;
}

export function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** Node checks a write twice before it reports a timeout. */
const stallTimeoutMs = 3000;

/** Closes connections whose client stops reading its response. One timer for all costs a request nothing. */
function closeStalled(server: Server): void {
  const sockets = socketsOf(server);
  const timer = setInterval(() => {
    for (const socket of sockets) {
      const isStalled = socket.writableLength > 0;
      if (isStalled && socket.timeout !== stallTimeoutMs) socket.setTimeout(stallTimeoutMs);
      else if (!isStalled && socket.timeout === stallTimeoutMs) socket.setTimeout(0);
    }
  }, timeouts.connectionsCheckingInterval);
  timer.unref();
  server.once('close', () => {
    clearInterval(timer);
  });
}

function findFault({ rawHeaders, headers: { expect }, httpVersion }: IncomingMessage): HttpError | undefined {
  if (rawHeaders.length > 2 * maxHeaders) return new HttpError(431, `A request has at most ${maxHeaders} headers.`);
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return new HttpError(400, 'The request is not HTTP/1.1.');
  // RFC 9112 §3.2: Node uses the first, a proxy may use the last.
  if (rawHeaders.filter(isHost).length > 1) return new HttpError(400, 'The request has more than one Host header.');
  // HTTP/1.0 has no expectations (RFC 9110 §10.1.1).
  if (expect !== undefined && httpVersion === '1.1' && !/^100-continue$/i.test(expect)) {
    return new HttpError(417, 'Expect must be 100-continue.');
  }
  return undefined;
}

function isHost(text: string, index: number): boolean {
  return index % 2 === 0 && text.length === 4 && text.toLowerCase() === 'host';
}

interface ParseError extends NodeJS.ErrnoException {
  reason?: string;
  rawPacket?: Buffer;
  bytesParsed?: number;
}

/** Not after a lost connection, nor before the first byte of a request. */
function canRespond({ code = '' }: ParseError, { bytesRead }: Socket): boolean {
  return bytesRead > 0 && (code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT');
}

/** Limits how long a body that continues after the response is read. Without keep-alive, Node would close at once. */
function stopReading(this: ServerResponse): void {
  const { req } = this;
  if (req.complete || !hasBody(req)) return;
  if (!this.shouldKeepAlive) {
    req.socket.destroySoon = () => {
      closeLingering(req.socket);
    };
  }
  // Most bodies arrive with the headers and are complete after this turn: a timer for each request would cost too much.
  setImmediate(() => {
    if (!req.complete) setTimeout(() => req.complete || req.socket.destroy(), lingerMs).unref();
  });
}

/** Ends the body of a request with an error. A response that does not need the body is sent as usual. */
function abortBody(res: ServerResponse, reason: HttpError): void {
  const { req } = res;
  res.shouldKeepAlive = false;
  if (res.headersSent) req.socket.destroySoon();
  else if (req.listenerCount('error') > 0) req.emit('error', reason);
}

function reasonOf({ code, reason }: ParseError): HttpError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpError(431, 'The headers are larger than 16 KB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpError(408, 'The request did not arrive completely in time.');
    default:
      return new HttpError(400, `The request is not HTTP/1.1: ${reason ?? 'it cannot be parsed'}.`);
  }
}

/** Node reports where the error is in the last packet, not where the request starts: there, if nothing came before. */
function requestLineOf({ rawPacket, bytesParsed = 0 }: ParseError, isFirst: boolean) {
  const text = rawPacket?.toString('latin1') ?? '';
  const [, method = '', url] = /^([\w!#$%&'*+.^`|~-]+) (\/[!-~]*) HTTP\/1\.[01]\r\n/.exec(text) ?? [];
  return url !== undefined && (isFirst || bytesParsed <= method.length) ? { method, url } : undefined;
}

/** The path and query of an absolute URL; the root for `OPTIONS *`. */
function originForm({ method, url = '' }: IncomingMessage): string {
  if (method === 'OPTIONS' && url === '*') return '/';
  return url.replace(/^https?:\/\/[^/?]*\/?/i, '/');
}

/** Ends a connection, then reads and discards for a second: a reset could cost the client the response (RFC 9112 §9.6). */
function closeLingering(socket: Socket): void {
  socket.end();
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
}
