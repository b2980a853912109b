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

  /** Passes on everything again. Connections that have lost bytes meanwhile are reset: nothing good can come of them. */
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
        this.#pairs.delete(pair);
        // What is on its way still arrives.
        if (this.#silent) return;
        setTimeout(() => {
          other.destroySoon();
        }, this.latencyMs);
      });
    }
  }

  #pass(from: Socket, to: Socket, allowed: (data: Buffer) => boolean): void {
    from.on('data', (data: Buffer) => {
      if (this.#silent || !allowed(data)) return;
      if (this.latencyMs === 0) to.write(data);
      else
        setTimeout(() => {
          if (!this.#silent) to.write(data);
        }, this.latencyMs);
    });
  }
}
