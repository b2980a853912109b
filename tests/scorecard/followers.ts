/** Followers of a feed: whether each receives every change once, how soon, and how they slow other requests. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '@task-manager/testing/statistics';
import { until } from '@task-manager/testing/until';
import type { Figure } from './figures.ts';

const followerCount = 2000;
const writesPerSecond = 20;

/** `url` is that of a replica. */
export async function measureFollowers(url: string, seconds: number): Promise<Figure[]> {
  const without = await readFor(url, 10);
  const followers = Array.from({ length: followerCount }, () => new Follower(url));
  const sentAt = new Map<string, number>();
  try {
    await until(() => followers.every(({ isOpen }) => isOpen), { what: 'every stream is open', timeoutMs: 60_000 });
    const reading = readFor(url, seconds);
    for (let count = 0; count < seconds * writesPerSecond; count++) {
      const startedAt = performance.now();
      void createTask(url).then((id) => sentAt.set(id, startedAt));
      await sleep(1000 / writesPerSecond);
    }
    const withFollowers = await reading;
    await sleep(3000);
    return [
      ...deliveryFigures(followers, sentAt),
      {
        name: 'median latency of other requests, compared with no followers',
        ...{ measured: quantile(withFollowers, 0.5) / quantile(without, 0.5), max: 1.5, unit: '×' },
      },
    ];
  } finally {
    for (const follower of followers) follower.close();
  }
}

function deliveryFigures(followers: Follower[], sentAt: Map<string, number>): Figure[] {
  const delays = followers.flatMap(({ received }) => received.map(({ id, at }) => at - (sentAt.get(id) ?? -Infinity)));
  const distinct = followers.map(({ received }) => new Set(received.map(({ id }) => id)).size);
  const missed = distinct.reduce((sum, size) => sum + sentAt.size - size, 0);
  const repeated = followers.reduce((sum, { received }, index) => sum + received.length - (distinct[index] ?? 0), 0);
  return [
    { name: `Of ${sentAt.size} changes to each of ${followers.length} followers: missed`, measured: missed, max: 0 },
    { name: 'repeated', measured: repeated, max: 0 },
    { name: 'connections cut', measured: followers.filter(({ isOpen }) => !isOpen).length, max: 0 },
    {
      name: 'time from a request to its event (99th percentile)',
      measured: quantile(delays, 0.99),
      max: 500,
      unit: 'ms',
    },
  ];
}

/** The times that requests took, in milliseconds. */
async function readFor(url: string, seconds: number): Promise<number[]> {
  const times: number[] = [];
  const endAt = performance.now() + seconds * 1000;
  while (performance.now() < endAt) {
    const startedAt = performance.now();
    await (await fetch(`${url}/tasks?limit=10`)).arrayBuffer();
    times.push(performance.now() - startedAt);
    await sleep(20);
  }
  return times;
}

async function createTask(url: string): Promise<string> {
  const body = JSON.stringify({ title: 'Follow' });
  const response = await fetch(`${url}/tasks`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  });
  return ((await response.json()) as { id: string }).id;
}

const buffer = Buffer.alloc(64 * 1024);

/** An event stream that notes when each subject arrives. It reads no HTTP: two thousand must cost little. */
class Follower {
  readonly received: { id: string; at: number }[] = [];
  isOpen = false;
  readonly #url: URL;
  #socket!: Socket;
  #rest = '';

  constructor(url: string) {
    this.#url = new URL(url);
    this.#connect();
  }

  #connect(): void {
    const { port, host } = this.#url;
    const callback = (length: number) => {
      this.#read(buffer.toString('latin1', 0, length));
      return true;
    };
    this.#socket = connect({ port: Number(port), host: '127.0.0.1', onread: { buffer, callback } });
    this.#socket.on('error', () => undefined).on('close', () => (this.isOpen = false));
    this.#socket.write(`GET /tasks/feed?cursor=latest HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`);
  }

  #read(text: string): void {
    if (text.startsWith('HTTP/1.1 503')) {
      this.#socket.destroy();
      setTimeout(this.#connect.bind(this), 1000);
    }
    this.isOpen ||= text.startsWith('HTTP/1.1 200');
    const at = performance.now();
    const unread = this.#rest + text;
    let end = 0;
    for (const { index, 0: found, 1: id = '' } of unread.matchAll(/"subject":"([^"]{36})"/g)) {
      this.received.push({ id, at });
      end = index + found.length;
    }
    this.#rest = unread.slice(Math.max(end, unread.length - 50));
  }

  close(): void {
    this.#socket.destroy();
  }
}
