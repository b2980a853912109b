/**
 * The edge of a server: what cannot be read as HTTP/1.1 (RFC 9112), asks for what no HTTP server here does, or comes too
 * slowly is refused as everything else is, in its turn, and its connection closed: what follows has no known beginning.
 */
import { createServer, IncomingMessage, ServerResponse, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { Refused } from '../errors.ts';
import { cutOffStalled, timeouts } from './slow.ts';

export interface Answering {
  /** Answers a request. */
  serve: (req: IncomingMessage, res: ServerResponse) => void;
  /** Answers one that is refused. What could not be read of it is not there: it may have no method and no headers. */
  refuse: (req: IncomingMessage, res: ServerResponse, reason: Refused) => void;
}

/** As many as Apache allows. Node would drop those after the thousandth, and say nothing. */
const headersMax = 100;
/** How long to hear out one who is still sending when everything is said. */
const lingerMs = 1000;

/** Of what a server makes its requests and answers. */
interface Classes {
  IncomingMessage: typeof IncomingMessage;
  ServerResponse: typeof ServerResponse<IncomingMessage>;
}

/**
 * Makes a server that lets every request be answered, and every one refused that is none. A request for a whole URL
 * (RFC 9112 §3.2.2) has become one for its path. Whoever reads a body that breaks off gets to know it as the request's
 * `error`: a Refused, unless the client went away.
 */
export function createEdge(
  { serve, refuse }: Answering,
  classes: Classes = { IncomingMessage, ServerResponse },
): Server {
  // Node 24 makes no stream for a body that is not there; those before it do not know the option.
  const options = { ...timeouts, requireHostHeader: false, optimizeEmptyRequests: true };
  const server = createServer({ ...options, ...classes });
  cutOffStalled(server);
  /** Of each connection, the answer to the request that began last. */
  const answers = new WeakMap<Socket, ServerResponse>();
  const unreadable = new WeakSet<Socket>();

  function take(req: IncomingMessage, res: ServerResponse): void {
    answers.set(req.socket, res);
    res.on('prefinish', letGo);
    if (!req.url?.startsWith('/')) req.url = originForm(req);
    const reason = refusalOf(req);
    if (reason) refuse(req, res, reason);
    else serve(req, res);
  }

  /** Answers on a connection that Node has given up. */
  function answerLast(socket: Socket, req: IncomingMessage, answer: Answering['serve']): void {
    const res = new classes.ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.on('finish', () => {
      hangUp(socket);
    });
    answer(req, res);
  }

  function refuseUnreadable(error: Unreadable, socket: Socket): void {
    if (!socket.writable) return;
    const req = new classes.IncomingMessage(socket);
    const line = requestLineOf(error, !answers.has(socket) && error.rawPacket?.length === socket.bytesRead);
    Object.assign(req, line);
    answerLast(socket, req, (_, res) => {
      // The method that Node does not know is one that the path does not have.
      if (line && error.code === 'HPE_INVALID_METHOD') serve(req, res);
      else refuse(req, res, reasonOf(error));
    });
  }

  // Whoever reads a body asks for it: see askForBody().
  server.on('request', take).on('checkContinue', take).on('checkExpectation', take);
  // It names a host, of which the service has nothing (RFC 9110 §9.3.6): so it is asked of the service as a whole.
  server.on('connect', (req, socket: Socket) => {
    socket.on('error', () => socket.destroy());
    req.url = '/';
    answerLast(socket, req, serve);
  });
  server.on('clientError', (error: Unreadable, socket: Socket) => {
    // All that follows on the same connection is as unreadable.
    if (unreadable.has(socket)) return;
    unreadable.add(socket);
    const last = answers.get(socket);
    if (!isRefused(error, socket) || !socket.writable) socket.destroy();
    else if (last && !last.req.complete) breakOff(last, reasonOf(error));
    else if (!last || last.closed) refuseUnreadable(error, socket);
    else
      last.once('close', () => {
        refuseUnreadable(error, socket);
      });
  });
  return server;
}

/** What Node takes for a request and nobody here can answer. */
function refusalOf({ rawHeaders, headers: { expect }, httpVersion }: IncomingMessage): Refused | undefined {
  if (rawHeaders.length > 2 * headersMax) return new Refused(431, `A request has ${headersMax} headers at most.`);
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return new Refused(400, 'The request is not HTTP/1.1.');
  // RFC 9112 §3.2: Node would keep the first, and a proxy perhaps the last.
  if (rawHeaders.filter(isHost).length > 1) return new Refused(400, 'The request has more than one Host.');
  // In HTTP/1.0 it means nothing (RFC 9110 §10.1.1).
  if (expect !== undefined && httpVersion === '1.1' && !/^100-continue$/i.test(expect)) {
    return new Refused(417, 'The only expectation that can be met is 100-continue.');
  }
  return undefined;
}

function isHost(text: string, index: number): boolean {
  return index % 2 === 0 && text.length === 4 && text.toLowerCase() === 'host';
}

/** What Node says of what it could not read. */
interface Unreadable extends NodeJS.ErrnoException {
  reason?: string;
  /** What came last, and how much of it could be read. */
  rawPacket?: Buffer;
  bytesParsed?: number;
}

/** Whether anybody is there to be told: not after the connection broke, nor where a request never began. */
function isRefused({ code = '' }: Unreadable, { bytesRead }: Socket): boolean {
  return bytesRead > 0 && (code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT');
}

/**
 * Of a body that goes on when its request is answered no more is heard than a moment. Node would break off a connection that
 * is not kept at once.
 */
function letGo(this: ServerResponse): void {
  const { req } = this;
  if (req.complete || !hasBody(req)) return;
  if (!this.shouldKeepAlive) {
    req.socket.destroySoon = () => {
      hangUp(req.socket);
    };
  }
  // Mostly the rest came with the head, and is read in this turn: a timer for each request would cost too much. (A tick is
  // too soon: Node has one before it says that a body is complete.)
  setImmediate(() => {
    if (!req.complete) setTimeout(() => req.complete || req.socket.destroy(), lingerMs).unref();
  });
}

/** Tells whoever reads the body of this request that no more of it comes. Who does not read it answers as it would. */
function breakOff(res: ServerResponse, reason: Refused): void {
  const { req } = res;
  res.shouldKeepAlive = false;
  if (res.headersSent) req.socket.destroySoon();
  else if (req.listenerCount('error') > 0) req.emit('error', reason);
}

function reasonOf({ code, reason }: Unreadable): Refused {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refused(431, 'The headers of a request have 16 KB at most.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refused(408, 'The request did not come to its end in time.');
    default:
      return new Refused(400, `The request is not HTTP/1.1: ${reason ?? 'it cannot be read'}.`);
  }
}

/**
 * What was asked for, if it can be known. Node says where in what came last it found the fault, not where the request
 * began: it began there if nothing came before (`isFirst`), or if the fault is in the first word.
 */
function requestLineOf({ rawPacket, bytesParsed = 0 }: Unreadable, isFirst: boolean) {
  const text = rawPacket?.toString('latin1') ?? '';
  const [, method = '', url] = /^([\w!#$%&'*+.^`|~-]+) (\/[!-~]*) HTTP\/1\.[01]\r\n/.exec(text) ?? [];
  return url !== undefined && (isFirst || bytesParsed <= method.length) ? { method, url } : undefined;
}

/** The path and query of a target that is a whole URL; of `OPTIONS *`, which means the server, the root. */
function originForm({ method, url = '' }: IncomingMessage): string {
  if (method === 'OPTIONS' && url === '*') return '/';
  return url.replace(/^https?:\/\/[^/?]*\/?/i, '/');
}

/** Whether there is a body (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/** Tells one who waits for it (`Expect: 100-continue`, RFC 9110 §10.1.1) that the body is wanted. */
export function askForBody({ headers, httpVersion }: IncomingMessage, res: ServerResponse): void {
  if (headers.expect !== undefined && httpVersion === '1.1') res.writeContinue();
}

/**
 * Closes a connection, but drops what still comes for a second: one who is told of it while they send, by a reset, may lose
 * the answer too (RFC 9112 §9.6).
 */
function hangUp(socket: Socket): void {
  socket.end();
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
}
