/** A TCP proxy on 127.0.0.1 that can fail as networks do. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Opens a proxy on a free port. It forwards everything until a fault begins. */
export async function openFaultProxy(port: number, host = '127.0.0.1'): Promise<FaultProxy> {
  const proxy = new FaultProxy(port, host);
  await proxy.listen();
  return proxy;
}

export class FaultProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #silent = false;
  #refusing = false;
  #fatal: string | undefined;
  /** The delay in each direction. */
  latencyMs = 0;

  constructor(port: number, host: string) {
    this.#server = createServer({ noDelay: true }, (client) => {
      this.#join(client, port, host);
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Drops every byte in both directions and closes nothing, as a network that loses packets. */
  blackhole(): void {
    this.#silent = true;
  }

  /** Resets every connection, and rejects new ones. */
  refuse(): void {
    this.#refusing = true;
    this.reset();
  }

  /** Resets every connection, and accepts new ones. */
  reset(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  }

  /** Closes every connection with FIN, first towards the server and after a pause towards the client. */
  async closeSlowly(pauseMs: number): Promise<void> {
    for (const { upstream } of this.#pairs) upstream.end();
    await sleep(pauseMs);
    for (const { client } of this.#pairs) client.end();
  }

  /** Forwards the next message with this text and resets the connection instead of forwarding the response. */
  loseAnswerTo(text: string): void {
    this.#fatal = text;
  }

  /** Forwards everything again. Connections that have lost bytes are reset. */
  heal(): void {
    if (this.#silent) this.reset();
    this.#silent = false;
    this.#refusing = false;
    this.#fatal = undefined;
    this.latencyMs = 0;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.reset();
    await once(this.#server, 'close');
  }

  #join(client: Socket, port: number, host: string): void {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port, host, noDelay: true });
    const pair = { client, upstream };
    this.#pairs.add(pair);
    let doomed = false;
    this.#pass(client, upstream, (data) => {
      // The whole text or name of a statement: a session also sets `synchronous_commit`.
      if (this.#fatal === undefined || !data.includes(`${this.#fatal}\0`)) return true;
      this.#fatal = undefined;
      doomed = true;
      return true;
    });
    this.#pass(upstream, client, () => {
      if (doomed) client.resetAndDestroy();
      return !doomed;
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        // Packets are lost: the other side notices when the network heals.
        if (this.#silent) return;
        this.#pairs.delete(pair);
        // Delayed data still arrives.
        setTimeout(() => {
          other.destroySoon();
        }, this.latencyMs);
      });
    }
  }

  #pass(from: Socket, to: Socket, allowed: (data: Buffer) => boolean): void {
    let passed = Promise.resolve();
    from.on('data', (data: Buffer) => {
      if (this.#silent || !allowed(data)) return;
      const dueMs = performance.now() + this.latencyMs;
      // In order, even when the latency has changed.
      passed = passed.then(async () => {
        const waitMs = dueMs - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        if (!this.#silent && to.writable) to.write(data);
      });
    });
  }
}
