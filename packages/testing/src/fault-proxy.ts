/** A TCP proxy on 127.0.0.1 that can go bad as networks do, for the tests of what a service makes of it. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Opens a proxy to `port`, on a free port. It passes on everything until it is told otherwise. */
export async function openFaultProxy(port: number): Promise<FaultProxy> {
  const proxy = new FaultProxy(port);
  await proxy.listen();
  return proxy;
}

export class FaultProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #silent = false;
  #refusing = false;
  #fatal: string | undefined;
  #unknown: string | undefined;
  /** How much later everything arrives, in each direction. */
  latencyMs = 0;

  constructor(upstreamPort: number) {
    this.#server = createServer({ noDelay: true }, (client) => {
      this.#join(client, upstreamPort);
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Loses every byte in both directions from now on, and says nothing to those who connect. Nothing is closed. */
  blackhole(): void {
    this.#silent = true;
  }

  /** Resets every connection, and each new one at once. */
  refuse(): void {
    this.#refusing = true;
    this.reset();
  }

  /** Resets every connection; new ones are welcome. */
  reset(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  }

  /** Ends every connection as if the other side had (FIN), a while apart on both sides. */
  async closeSlowly(pauseMs: number): Promise<void> {
    for (const { upstream } of this.#pairs) upstream.end();
    await sleep(pauseMs);
    for (const { client } of this.#pairs) client.end();
  }

  /**
   * Passes on the next message from a client that holds this text, waits for what the server makes of it, and resets the
   * connection instead of passing on the answer: it was done, and who asked never hears of it.
   */
  loseAnswerTo(text: string): void {
    this.#fatal = text;
  }

  /** Refuses whoever sets this parameter as it connects, as PgBouncer does with those that it does not know. */
  refuseParameter(name: string): void {
    this.#unknown = name;
    this.reset();
  }

  /** Passes on everything again. Connections that have lost bytes meanwhile are reset: nothing good can come of them. */
  heal(): void {
    if (this.#silent) this.reset();
    this.#silent = false;
    this.#refusing = false;
    this.#fatal = undefined;
    this.#unknown = undefined;
    this.latencyMs = 0;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.reset();
    await once(this.#server, 'close');
  }

  #join(client: Socket, upstreamPort: number): void {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true });
    const pair = { client, upstream };
    this.#pairs.add(pair);
    let doomed = false;
    this.#pass(client, upstream, (data) => {
      if (this.#unknown !== undefined && data.includes(this.#unknown)) {
        client.end(refusal(`unsupported startup parameter: ${this.#unknown}`));
        return false;
      }
      if (this.#fatal === undefined || !data.includes(this.#fatal)) return true;
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
        // The other side does not hear of it before the network is healed.
        if (this.#silent) return;
        this.#pairs.delete(pair);
        // What is on its way still arrives.
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
      // One after the other, also when the latency is another by now.
      passed = passed.then(async () => {
        const waitMs = dueMs - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        if (!this.#silent && to.writable) to.write(data);
      });
    });
  }
}

/** PostgreSQL's ErrorResponse (its manual, 54.7) for a protocol violation. */
function refusal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
