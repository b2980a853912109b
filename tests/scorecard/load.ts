/**
 * A load of one kind of request, played by a process of its own. Open loop: requests are sent at a rate, whether or not
 * those before them were answered, as many users who know nothing of each other do. It speaks just as much HTTP/1.1 as it
 * takes, because it must cost less than the server that it loads.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { overloaded } from '@task-manager/runtime/errors';

export interface Load {
  port: number;
  /** The whole request, as it goes over the wire; `00000000` in it becomes a number of its own each time. */
  request: string;
  /** Requests a second; null is as many as are answered, one after the other on each connection. */
  rate: number | null;
  connections: number;
  /** How long before anything is counted: until all connections are open that it takes, and what comes first is compiled. */
  warmUpSeconds: number;
  seconds: number;
}

export interface Outcome {
  /**
   * Answered a second, by status; `lost` are those whose connection ended, and `unavailable` those of 503 that were not
   * refused for being too many.
   */
  perSecond: Record<string, number>;
  /** From the sending to the end of the answer, of the 2xx and of the refused. */
  goodMs: { p50: number; p99: number };
  refusedMs: { p50: number; p99: number; most: number };
  /** Refusals without Retry-After. */
  withoutRetryAfter: number;
  /** Not sent, for no connection was free: then it was no open loop. */
  unsent: number;
}

// Only as a process of its own: others import the types.
if (process.send) process.on('message', (load: Load) => void play(load).then((outcome) => process.send?.(outcome)));

/** Goes on from one load to the next: a key that was used before would be answered from what is kept. */
let number = Math.floor(Math.random() * 1e7);

async function play(load: Load): Promise<Outcome> {
  const counts: Record<string, number> = {};
  const goodMs: number[] = [];
  const refusedMs: number[] = [];
  let withoutRetryAfter = 0;
  let unsent = 0;
  const idle: Connection[] = [];
  const next = () => load.request.replace('00000000', String(number++).padStart(8, '0'));
  const countsFrom = performance.now() + load.warmUpSeconds * 1000;
  const endsAt = countsFrom + load.seconds * 1000;

  function over(connection: Connection, status: string, timeMs: number, head: string): void {
    const now = performance.now();
    if (now >= countsFrom) count(status, timeMs, head);
    if (load.rate === null && now < endsAt) connection.send(next());
    else idle.push(connection);
  }

  function count(status: string, timeMs: number, head: string): void {
    counts[status] = (counts[status] ?? 0) + 1;
    if (status.startsWith('2')) goodMs.push(timeMs);
    if (status === '503') {
      refusedMs.push(timeMs);
      if (!/\r\nretry-after: \d/i.test(head)) withoutRetryAfter++;
    }
  }

  const connections: Connection[] = [];
  // Opened when it is needed: a server does not wait long for one who says nothing.
  function open(): Connection | undefined {
    if (connections.length === load.connections) return undefined;
    const connection = new Connection(load.port, over);
    connections.push(connection);
    return connection;
  }
  const startedAt = performance.now();
  if (load.rate === null) {
    for (let each = 0; each < load.connections; each++) open()?.send(next());
    await sleep(endsAt - startedAt);
  } else {
    let sent = 0;
    while (performance.now() < endsAt) {
      const due = ((performance.now() - startedAt) / 1000) * load.rate;
      for (; sent < due; sent++) {
        const connection = idle.pop() ?? open();
        if (connection) connection.send(next());
        else if (performance.now() >= countsFrom) unsent++;
      }
      await sleep(1);
    }
  }
  const seconds = (performance.now() - countsFrom) / 1000;
  // Those that are under way are not counted: they belong to the time after it.
  const perSecond = Object.fromEntries(Object.entries(counts).map(([status, count]) => [status, count / seconds]));
  const outcome = {
    perSecond,
    goodMs: { p50: quantile(goodMs, 0.5), p99: quantile(goodMs, 0.99) },
    refusedMs: { p50: quantile(refusedMs, 0.5), p99: quantile(refusedMs, 0.99), most: quantile(refusedMs, 1) },
    withoutRetryAfter,
    unsent,
  };
  for (const connection of connections) connection.close();
  return outcome;
}

/** What came last, on whichever connection: it is read before anything else comes. */
const buffer = Buffer.alloc(64 * 1024);

type Over = (connection: Connection, status: string, timeMs: number, head: string) => void;

class Connection {
  readonly #port: number;
  readonly #over: Over;
  #socket!: Socket;
  #sentAt = 0;
  #received = '';

  constructor(port: number, over: Over) {
    this.#port = port;
    this.#over = over;
    this.#open();
  }

  send(request: string): void {
    this.#sentAt = performance.now();
    this.#socket.write(request);
  }

  close(): void {
    this.#sentAt = 0;
    this.#socket.destroy();
  }

  #open(): void {
    this.#received = '';
    // One buffer for all, and no stream: what asks must not take the CPU from what answers.
    const onread = {
      buffer,
      callback: (length: number) => {
        this.#read(buffer.toString('latin1', 0, length));
        return true;
      },
    };
    this.#socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, onread });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      if (this.#sentAt === 0) return;
      const timeMs = performance.now() - this.#sentAt;
      this.#sentAt = 0;
      this.#open();
      this.#over(this, 'lost', timeMs, '');
    });
  }

  #read(data: string): void {
    this.#received += data;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#received.length < headEnd + 4 + length) return;
    const timeMs = performance.now() - this.#sentAt;
    const isUnavailable = head.startsWith('HTTP/1.1 503') && !this.#received.includes(overloaded.message);
    const status = isUnavailable ? 'unavailable' : head.slice(9, 12);
    this.#received = '';
    this.#sentAt = 0;
    this.#over(this, status, timeMs, head);
  }
}

function quantile(numbers: number[], share: number): number {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
