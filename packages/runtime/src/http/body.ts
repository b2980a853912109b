/** Request bodies: read to the end, decompressed, at most 1 MB. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { HttpError, InvalidRequest, overloaded } from '../errors.ts';
import type { Load } from './load-shedding.ts';

const maxBytes = 1_048_576;
const decoders = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress };

/**
 * Reads a body to its end; the rest of a body that is too large is discarded.
 * @throws {HttpError} 413, 415 or 408. {InvalidRequest} when it is damaged. `overloaded` when all bodies are too large.
 */
export async function readBody(req: IncomingMessage, res: ServerResponse, load: Load): Promise<Buffer> {
  const { 'content-encoding': encoding = 'identity', 'content-length': length } = req.headers;
  const decoder = encoding.toLowerCase();
  if (decoder !== 'identity' && !isDecoder(decoder)) {
    throw new HttpError(415, 'Content-Encoding must be one of gzip, deflate and br, or absent.');
  }
  if (Number(length) > maxBytes) throw tooLarge();
  sendContinue(req, res);
  return new Promise((resolve, reject) => {
    const decoded = decoder === 'identity' ? req : req.pipe(decoders[decoder]());
    let chunks: Buffer[] = [];
    let bytes = 0;
    const release = () => {
      load.bodyBytes -= bytes;
      bytes = 0;
      chunks = [];
    };
    const fail = (reason: Error) => {
      reject(reason);
      release();
      decoded.off('data', keep).resume();
      if (decoded === req) return;
      req.unpipe().resume();
      decoded.destroy();
    };
    const keep = (chunk: Buffer) => {
      bytes += chunk.length;
      load.bodyBytes += chunk.length;
      chunks.push(chunk);
      if (bytes > maxBytes) fail(tooLarge());
      else if (load.isBodyMemoryFull) fail(overloaded);
    };
    decoded.on('data', keep);
    decoded.on('end', () => {
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      release();
    });
    for (const stream of new Set([req, decoded])) {
      stream.on('error', (error) => {
        fail(error instanceof HttpError ? error : damaged());
      });
    }
  });
}

/** Answers `Expect: 100-continue` (RFC 9110 §10.1.1): the client may send the body. */
export function sendContinue({ headers, httpVersion }: IncomingMessage, res: ServerResponse): void {
  if (headers.expect !== undefined && httpVersion === '1.1') res.writeContinue();
}

function isDecoder(name: string): name is keyof typeof decoders {
  return Object.hasOwn(decoders, name);
}

function tooLarge(): HttpError {
  return new HttpError(413, 'The body is larger than 1 MB.');
}

function damaged(): InvalidRequest {
  return new InvalidRequest([{ pointer: '/body', detail: 'is incomplete or damaged', code: 'json' }]);
}
