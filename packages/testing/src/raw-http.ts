/** HTTP over a plain socket, for requests that no client library sends. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes on a new connection, and reads until the service closes it or has sent `count` responses. */
export async function sendRaw(url: string, bytes: string | Buffer, count = Infinity): Promise<RawResponse[]> {
  const socket = await openSocket(url);
  socket.write(bytes);
  return readResponses(socket, count);
}

/** Reads until the service closes the connection, or closes it after `count` responses. */
export async function readResponses(socket: Socket, count = Infinity): Promise<RawResponse[]> {
  let bytes = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data]);
    if (parse(bytes).length >= count) socket.destroy();
  });
  await closed(socket);
  return parse(bytes);
}

/** Resolves when the connection is closed by either side, or has failed. */
export async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

/** Adds a Host, and a Content-Length for the body. */
export function formatRequest(method: string, path: string, headers: Record<string, string> = {}, body = ''): string {
  const framing = body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  const lines = Object.entries({ Host: 'localhost', ...framing, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return `${[`${method} ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

/** The complete responses in these bytes. */
function parse(bytes: Buffer): RawResponse[] {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return [];
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(':', 1)[0]?.toLowerCase(), line.replace(/^.*?: */, '')] as const),
  ) as RawResponse['headers'];
  const length = status < 200 || status === 204 || status === 304 ? 0 : Number(headers['content-length']);
  const begin = end + 4;
  if (bytes.length < begin + length) return [];
  return [
    { status, headers, body: bytes.toString('utf8', begin, begin + length) },
    ...parse(bytes.subarray(begin + length)),
  ];
}
