/** The body of a request: its bytes, unpacked, and never more than 1 MB of them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { askForBody } from './edge.ts';
import { InvalidRequest } from './problems.ts';
import { Refused } from './refused.ts';

const bytesMax = 1_048_576;
const decoders = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress };

/**
 * Reads a body to its end. Of one that is too large the rest is not kept.
 * @throws {Refused} 413 when it is too large, 415 when it is packed in an unknown way, 408 when it comes too slowly.
 * @throws {InvalidRequest} When it breaks off, or cannot be unpacked.
 */
export async function readBody(req: IncomingMessage, res: ServerResponse): Promise<Buffer> {
  const { 'content-encoding': encoding = 'identity', 'content-length': length } = req.headers;
  const decoder = encoding.toLowerCase();
  if (decoder !== 'identity' && !isDecoder(decoder)) {
    throw new Refused(415, 'This address reads bodies that are plain, or compressed by gzip, deflate or br.');
  }
  if (Number(length) > bytesMax) throw tooLarge();
  askForBody(req, res);
  return new Promise((resolve, reject) => {
    const unpacked = decoder === 'identity' ? req : req.pipe(decoders[decoder]());
    let chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (reason: Error) => {
      reject(reason);
      chunks = [];
      if (unpacked === req) return;
      req.unpipe().resume();
      unpacked.destroy();
    };
    unpacked.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) chunks.push(chunk);
      else fail(tooLarge());
    });
    unpacked.on('end', () => {
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    });
    for (const stream of new Set([req, unpacked])) {
      stream.on('error', (error) => {
        fail(error instanceof Refused ? error : damaged());
      });
    }
  });
}

function isDecoder(name: string): name is keyof typeof decoders {
  return Object.hasOwn(decoders, name);
}

function tooLarge(): Refused {
  return new Refused(413, 'The body is larger than 1 MB.');
}

function damaged(): InvalidRequest {
  return new InvalidRequest([{ pointer: '/body', detail: 'is incomplete or damaged', code: 'json' }]);
}
