/**
 * The load generator, a process of its own: plays what `bench.ts` sends it, and sends back what came of it. It speaks just
 * as much HTTP/1.1 as it takes, because it must cost much less than the servers that it measures.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export const loadNames = ['POST', 'list', 'get', 'PATCH', 'mixed'] as const;
/** What is asked for: of the services, and of the floors, which have no database. */
export type LoadName = (typeof loadNames)[number] | 'echo' | 'page' | 'health';

/** One sample: so many connections, each with one request under way, for so long. */
export interface Job {
  port: number;
  load: LoadName;
  connections: number;
  seconds: number;
  /** The same seed asks for the same things in the same order. */
  seed: number;
  /** The second word of the title of each task created, so that its row tells who wrote it. */
  tag: string;
}

export interface Outcome {
  /** Answered within the time. */
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Answered at all: those under way when the time was over were waited for. */
  answered: number;
  /** Tasks that the server said it has created and changed. */
  created: number;
  changed: number;
  /** One of 64 of those created, as the server has answered them. */
  kept: { id: string; title: string }[];
  /** Other answers than expected, by their kind. */
  errors: Record<string, number>;
}

/** What `bench.ts` sends: the ids of the tasks that may be asked for, then one job after the other. */
export type Message = { ids: string[] } | { job: Job } | 'go';

/** How long answers are waited for when the time is over. */
const patienceMs = 10_000;

let ids: string[] = [];

// Only as a process of its own: `bench.ts` imports the types and names.
if (process.send) {
  process.on('message', (message: Message) => {
    if (message === 'go') return;
    if ('ids' in message) ids = message.ids;
    else void play(message.job).then((outcome) => process.send?.(outcome));
  });
}

/** Connects, says so, waits for `go`, and plays. */
async function play(job: Job): Promise<Outcome> {
  const run = new Run(job);
  const clients = Array.from({ length: job.connections }, () => new Client(run));
  await Promise.all(clients.map(({ connected }) => connected));
  const go = once(process, 'message');
  process.send?.('connected');
  await go;
  run.start();
  const timer = setTimeout(
    () => {
      for (const client of clients) client.giveUp();
    },
    job.seconds * 1000 + patienceMs,
  );
  await Promise.all(clients.map((client) => client.play()));
  clearTimeout(timer);
  return run.outcome();
}

/** A request, what its answer must have, and whether it writes. */
interface Request {
  bytes: string;
  status: string;
  /** A part of the right answer's body that only this request has; or none. */
  proof: string;
  writes?: 'created' | 'changed';
}

class Run {
  readonly job: Job;
  readonly #nextRequest: () => Request;
  readonly #timesMs: number[] = [];
  readonly #errors: Record<string, number> = {};
  readonly #counts = { created: 0, changed: 0 };
  readonly #kept: Outcome['kept'] = [];
  #startedAt = 0;
  #endsAt = 0;
  #answered = 0;

  constructor(job: Job) {
    this.job = job;
    this.#nextRequest = requestsOf(job);
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#endsAt = this.#startedAt + this.job.seconds * 1000;
  }

  /** Undefined when the time is over. */
  next(): Request | undefined {
    return performance.now() < this.#endsAt ? this.#nextRequest() : undefined;
  }

  /** `answer` is what came last, with the whole body if `proof` is to be found in it. */
  count(request: Request, sentAt: number, status: string, answer: Buffer): void {
    const now = performance.now();
    if (now <= this.#endsAt) this.#timesMs.push(now - sentAt);
    this.#answered++;
    if (status !== request.status) {
      this.fail(`status ${status}`);
      return;
    }
    if (request.writes) this.#counts[request.writes]++;
    if (request.proof && !answer.includes(request.proof, 0, 'latin1')) this.fail('the answer to another request');
    else if (request.writes === 'created' && this.#counts.created % 64 === 0) this.#keep(answer);
  }

  fail(kind: string): void {
    this.#errors[kind] = (this.#errors[kind] ?? 0) + 1;
  }

  #keep(answer: Buffer): void {
    const text = answer.toString();
    const { id, title } = JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as { id: string; title: string };
    this.#kept.push({ id, title });
  }

  outcome(): Outcome {
    const sorted = Float64Array.from(this.#timesMs).sort();
    const quantile = (share: number) => sorted[Math.floor(share * sorted.length)] ?? NaN;
    return {
      requests: sorted.length,
      seconds: this.job.seconds,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
      answered: this.#answered,
      ...this.#counts,
      kept: this.#kept,
      errors: this.#errors,
    };
  }
}

/** One connection. */
class Client {
  readonly connected: Promise<unknown>;
  readonly #run: Run;
  readonly #socket: Socket;
  #request: Request | undefined;
  #sentAt = 0;
  #status = '';
  /** Of the answer that is being read; 0 before its header. */
  #missingBytes = 0;
  #end: () => void = () => undefined;

  constructor(run: Run) {
    this.#run = run;
    this.#socket = connect({
      port: run.job.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(65536),
        callback: (length, buffer) => {
          this.#read((buffer as Buffer).subarray(0, length));
          return true;
        },
      },
    });
    // Or refused: then it fails when it is to play.
    this.connected = Promise.race([once(this.#socket, 'connect'), once(this.#socket, 'close')]).catch(() => undefined);
    this.#socket.on('error', (error) => {
      run.fail(error.message);
    });
    this.#socket.on('close', () => {
      if (this.#request) run.fail('the connection was closed');
      this.#end();
    });
  }

  /** Asks again and again until the time is over. */
  async play(): Promise<void> {
    if (this.#socket.destroyed) return;
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    this.#send();
    await ended;
  }

  giveUp(): void {
    this.#socket.destroy();
  }

  #send(): void {
    this.#request = this.#run.next();
    if (!this.#request) {
      this.#socket.destroy();
      return;
    }
    this.#sentAt = performance.now();
    this.#socket.write(this.#request.bytes, 'latin1');
  }

  #read(chunk: Buffer): void {
    if (this.#missingBytes === 0) {
      this.#status = chunk.toString('latin1', 9, 12);
      const bodyStart = chunk.indexOf('\r\n\r\n') + 4;
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(chunk.toString('latin1', 0, bodyStart))?.[1];
      if (length === undefined) {
        this.#socket.destroy(new Error('no Content-Length'));
        return;
      }
      this.#missingBytes = bodyStart + Number(length);
    }
    this.#missingBytes -= chunk.length;
    if (this.#missingBytes > 0 || !this.#request) return;
    this.#run.count(this.#request, this.#sentAt, this.#status, chunk);
    this.#send();
  }
}

/** Makes the requests of a load, one at each call. */
function requestsOf({ load, seed, tag }: Job): () => Request {
  const random = randomFrom(seed);
  const someId = () => ids[Math.floor(random() * ids.length)] ?? '';
  let number = 0;
  const post = (): Request => {
    const title = `bench ${tag} ${seed} ${++number}`;
    const body = JSON.stringify({ title, description: 'Something that has to be done before the end of the week.' });
    return { bytes: write('POST', '/tasks', body), status: '201', proof: `"${title}"`, writes: 'created' };
  };
  const patch = (): Request => {
    const id = someId();
    const status = ['todo', 'in-progress', 'done'][++number % 3];
    const changes = number % 4 === 0 ? { title: `Changed ${number} times` } : { status };
    return {
      bytes: write('PATCH', `/tasks/${id}`, JSON.stringify(changes)),
      status: '200',
      proof: id,
      writes: 'changed',
    };
  };
  const get = (): Request => {
    const id = someId();
    return { bytes: read(`/tasks/${id}`), status: '200', proof: id };
  };
  const constant = (request: Request) => () => request;
  const list = constant({ bytes: read('/tasks'), status: '200', proof: '' });
  const mixed = () => {
    const share = random();
    if (share < 0.7) return get();
    if (share < 0.9) return list();
    return share < 0.95 ? post() : patch();
  };
  return {
    POST: post,
    list,
    get,
    PATCH: patch,
    mixed,
    echo: () => {
      const { bytes, status, proof } = post();
      return { bytes, status, proof };
    },
    page: constant({ bytes: read('/page'), status: '200', proof: '' }),
    health: constant({ bytes: read('/health'), status: '200', proof: '' }),
  }[load];
}

function read(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
}

/** `body` must be ASCII. */
function write(method: string, path: string, body: string): string {
  return (
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** Numbers from 0 to 1 that follow from the seed: mulberry32, https://gist.github.com/tommyettinger/46a874533244883189143505d203312c. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
