/**
 * The load generator. It speaks just enough HTTP/1.1, over keep-alive connections, because it must cost much less than
 * the server that it loads. Without a rate the loop is closed: each connection sends its next request when the last one
 * is answered. With a rate it is open: requests are sent when they are due, whether or not earlier ones were answered.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './until.ts';

export interface Request {
  /** The whole request in ASCII, as it goes over the wire. */
  bytes: string;
}

export interface Response {
  /** 0 when there was no response. */
  status: number;
  /** The status line and the headers; without a response, why there was none. */
  head: string;
  /** Valid during the call only: the memory is used again. */
  body: Buffer;
  /** As `performance.now()` gives them. */
  startedAt: number;
  endedAt: number;
}

export interface LoadOptions<R extends Request> {
  port: number;
  /** Open at most; an open loop opens them as it needs them. */
  connections: number;
  /** Requests per second of an open loop. */
  rate?: number;
  /** The next request; undefined ends the connection of a closed loop. */
  next: () => R | undefined;
  onResponse: (request: R, response: Response) => void;
}

/** How long a closed loop waits after a connection was lost. */
const reconnectDelayMs = 50;
const noBody = Buffer.alloc(0);

export class Load<R extends Request = Request> {
  /** Requests of an open loop that found every connection busy: the loop was not open. */
  unsent = 0;
  readonly #options: LoadOptions<R>;
  readonly #connections: Connection<R>[] = [];
  readonly #idle: Connection<R>[] = [];
  #running = false;

  constructor(options: LoadOptions<R>) {
    this.#options = options;
  }

  /** Opens every connection before the start. */
  async connect(): Promise<void> {
    while (this.#connections.length < this.#options.connections) this.#idle.push(this.#open());
    await Promise.all(this.#connections.map((connection) => connection.connected()));
  }

  start(): void {
    this.#running = true;
    if (this.#options.rate !== undefined) void this.#sendAtRate(this.#options.rate);
    else for (let count = this.#options.connections; count > 0; count--) this.#send(this.#idle.pop() ?? this.#open());
  }

  /** Sends no more, waits for pending responses, and closes the connections. */
  async stop(graceMs = 0): Promise<void> {
    this.#running = false;
    const isQuiet = () => this.#connections.every(({ pending }) => !pending);
    await until(isQuiet, { timeoutMs: graceMs, intervalMs: 5 }).catch(() => undefined);
    for (const connection of this.#connections) connection.close();
  }

  #open(): Connection<R> {
    const connection = new Connection<R>(this.#options.port, (request, response) => {
      this.#options.onResponse(request, response);
      if (this.#options.rate !== undefined) this.#idle.push(connection);
      else if (response.status > 0) this.#send(connection);
      else setTimeout(this.#send.bind(this), reconnectDelayMs, connection);
    });
    this.#connections.push(connection);
    return connection;
  }

  #send(connection: Connection<R>): void {
    const request = this.#running ? this.#options.next() : undefined;
    if (request) connection.send(request);
    else connection.close();
  }

  async #sendAtRate(rate: number): Promise<void> {
    const startedAt = performance.now();
    let sent = 0;
    while (this.#running) {
      const due = ((performance.now() - startedAt) / 1000) * rate;
      for (; sent < due; sent++) {
        const isFull = this.#idle.length === 0 && this.#connections.length === this.#options.connections;
        if (isFull) this.unsent++;
        else this.#send(this.#idle.pop() ?? this.#open());
      }
      await sleep(1);
    }
  }
}

/** One buffer for all sockets and no stream: each chunk is consumed before the next one is read. */
const buffer = Buffer.alloc(64 * 1024);

class Connection<R extends Request> {
  readonly #port: number;
  readonly #onResponse: (request: R, response: Response) => void;
  #socket: Socket | undefined;
  #request: R | undefined;
  #startedAt = 0;
  /** What has arrived of an incomplete response. */
  #received: Buffer = noBody;

  constructor(port: number, onResponse: (request: R, response: Response) => void) {
    this.#port = port;
    this.#onResponse = onResponse;
  }

  get pending(): boolean {
    return this.#request !== undefined;
  }

  /** Resolves when it is open, or refused: then the first request fails. */
  async connected(): Promise<void> {
    await once((this.#socket ??= this.#connect()), 'connect').catch(() => undefined);
  }

  send(request: R): void {
    this.#request = request;
    this.#startedAt = performance.now();
    this.#socket ??= this.#connect();
    this.#socket.write(request.bytes, 'latin1');
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connect(): Socket {
    const callback = (length: number) => {
      this.#read(buffer.subarray(0, length));
      return true;
    };
    let reason = 'the connection was closed';
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback } });
    socket.on('error', ({ message }) => (reason = message));
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#received = noBody;
      this.#finish(0, reason, noBody);
    });
    return socket;
  }

  #read(chunk: Buffer): void {
    const data = this.#received.length > 0 ? Buffer.concat([this.#received, chunk]) : chunk;
    const headEnd = data.indexOf('\r\n\r\n');
    const head = data.toString('latin1', 0, Math.max(0, headEnd + 2));
    const status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? (status === 204 ? '0' : undefined);
    if (headEnd >= 0 && length === undefined) {
      this.#socket?.destroy(new Error('the response has no Content-Length'));
    } else if (headEnd < 0 || data.length < headEnd + 4 + Number(length)) {
      this.#received = data === chunk ? Buffer.from(data) : data;
    } else {
      this.#received = noBody;
      if (head.includes('onnection: close\r\n')) this.#forgetSocket();
      this.#finish(status, head, data.subarray(headEnd + 4));
    }
  }

  /** The next request opens another one. */
  #forgetSocket(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #finish(status: number, head: string, body: Buffer): void {
    const request = this.#request;
    if (!request) return;
    this.#request = undefined;
    this.#onResponse(request, { status, head, body, startedAt: this.#startedAt, endedAt: performance.now() });
  }
}
