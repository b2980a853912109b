/** The body of a request: its bytes, unpacked, and never more than 1 MB of them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { askForBody } from './server.ts';
import { InvalidRequest } from './problems.ts';
import { overloaded, Refused } from '../errors.ts';

const bytesMax = 1_048_576;
/** Of all bodies that are just being read: else many who do not come to an end would take all the memory there is. */
const heldMax = 64 * bytesMax;
let held = 0;
const decoders = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress };

/**
 * Reads a body to its end. Of one that is too large the rest is not kept.
 * @throws {Refused} 413 when it is too large, 415 when it is packed in an unknown way, 408 when it comes too slowly.
 * @throws `overloaded` when too much is being read already.
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
    const letGo = () => {
      held -= bytes;
      bytes = 0;
      chunks = [];
    };
    const fail = (reason: Error) => {
      reject(reason);
      letGo();
      unpacked.off('data', hold).resume();
      if (unpacked === req) return;
      req.unpipe().resume();
      unpacked.destroy();
    };
    const hold = (chunk: Buffer) => {
      bytes += chunk.length;
      held += chunk.length;
      chunks.push(chunk);
      if (bytes > bytesMax) fail(tooLarge());
      else if (held > heldMax) fail(overloaded);
    };
    unpacked.on('data', hold);
    unpacked.on('end', () => {
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      letGo();
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
