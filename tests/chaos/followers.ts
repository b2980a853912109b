/** Those who follow a feed all along, whatever happens, by long polls or as an EventSource: they must miss nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { Event } from './check.ts';
import type { Random } from './random.ts';

const pauseMs = 100;
const waitSeconds = 5;

export class Follower {
  readonly name: string;
  /** The ids of the events that were heard since `forget`. */
  heard: string[] = [];
  readonly #urls: string[];
  readonly #random: Random;
  #cursor: string | null = null;

  /** `urls` are those of one feed, at each place where it can be read. */
  constructor(name: string, urls: string[], random: Random) {
    this.name = name;
    this.#urls = urls;
    this.#random = random;
  }

  /** The place in the feed that was reached. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** Asks for what follows, and waits for it, until the signal. */
  async poll(signal: AbortSignal): Promise<void> {
    await this.#goOn(signal, async (url) => {
      const cursor = this.#cursor === null ? '' : `&cursor=${this.#cursor}`;
      const response = await fetch(`${url}?wait=${waitSeconds}&limit=${this.#random.integer(5, 100)}${cursor}`, {
        signal,
      });
      if (!response.ok) throw new Error(`answered ${response.status}`);
      const { items } = (await response.json()) as { items: Event[] };
      for (const { id } of items) this.#hear(id);
    });
  }

  /** Listens as an EventSource does, until the signal; when the stream ends it goes on at another place. */
  async listen(signal: AbortSignal): Promise<void> {
    await this.#goOn(signal, async (url) => {
      const lastEventId = this.#cursor === null ? {} : { 'Last-Event-ID': this.#cursor };
      const response = await fetch(url, { headers: { Accept: 'text/event-stream', ...lastEventId }, signal });
      if (!response.ok || !response.body) throw new Error(`answered ${response.status}`);
      const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      for await (const { id } of events) if (id !== undefined) this.#hear(id);
    });
  }

  forget(): void {
    this.heard = [];
  }

  #hear(id: string): void {
    this.heard.push(id);
    this.#cursor = id;
  }

  /** Does it again and again, each time at another place. That it fails now and then is what it is for. */
  async #goOn(signal: AbortSignal, read: (url: string) => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await read(this.#random.pick(this.#urls)).catch(() =>
        sleep(pauseMs, undefined, { signal }).catch(() => undefined),
      );
    }
  }
}
