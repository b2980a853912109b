/** Clients that follow a feed throughout the run, by long polling or as an EventSource: they must miss nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { Random } from '@task-manager/testing/random';

const retryDelayMs = 100;
const waitSeconds = 5;

export class Follower {
  readonly transport: 'polling' | 'streaming';
  /** The ids of the events since the last check. */
  ids: string[] = [];
  cursor: string | null = null;
  readonly #urls: string[];
  readonly #random: Random;

  /** `urls` are those of one feed, at each target that has it. */
  constructor(transport: Follower['transport'], urls: string[], random: Random) {
    this.transport = transport;
    this.#urls = urls;
    this.#random = random;
  }

  /** Follows until the signal aborts; each request goes to another target, and may fail. */
  async follow(signal: AbortSignal): Promise<void> {
    const read = this.transport === 'polling' ? this.#poll.bind(this) : this.#stream.bind(this);
    const pause = () => sleep(retryDelayMs, undefined, { signal }).catch(() => undefined);
    while (!signal.aborted) await read(this.#random.pick(this.#urls), signal).catch(pause);
  }

  async #poll(url: string, signal: AbortSignal): Promise<void> {
    const cursor = this.cursor === null ? '' : `&cursor=${this.cursor}`;
    const query = `wait=${waitSeconds}&limit=${this.#random.integer(5, 100)}${cursor}`;
    const response = await fetch(`${url}?${query}`, { signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { items } = (await response.json()) as { items: { id: string }[] };
    for (const { id } of items) this.#record(id);
  }

  async #stream(url: string, signal: AbortSignal): Promise<void> {
    const lastEventId = this.cursor === null ? {} : { 'Last-Event-ID': this.cursor };
    const response = await fetch(url, { headers: { Accept: 'text/event-stream', ...lastEventId }, signal });
    if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const { id } of events) if (id !== undefined) this.#record(id);
  }

  #record(id: string): void {
    this.ids.push(id);
    this.cursor = id;
  }
}
