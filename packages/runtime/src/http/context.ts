/** A request and its answer, as every part of the runtime sees them: Node's own, with what is known of them beside. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Operation } from '../contract/document.ts';
import { newId } from '../ids.ts';

/** What is known of a request; Express has it as `res.locals`. */
export interface Known {
  /** The `X-Request-Id` that came with it, if it fits the contract, or a new one. It goes back in the answer. */
  requestId: string;
  /** As it came, before anything was taken off it. */
  url: string;
  /** When it came, of `performance.now()`. */
  beganMs: number;
  /** What it asks for, once that is known. */
  operation: Operation | undefined;
  /** Whether it is HEAD, which is GET without the body (RFC 9110 §9.3.2). */
  head: boolean;
  /** The methods that its path has, where it has not the one that was asked for. */
  allowed: string | undefined;
  /** The parameters of its path. */
  params: Record<string, string> | undefined;
  /** Which of the media types that the operation answers with the client likes best. */
  accept: string | undefined;
  /** The body, where it was read already. */
  bytes: Buffer | undefined;
  /** What failed, where that is the service's own fault. */
  error: Error | undefined;
}

export type Outgoing = ServerResponse & { locals: Known };

/** What a request goes through: it answers it, or gives it to the next one. */
export type Listener = (req: IncomingMessage, res: Outgoing) => void;

/** Writes down what is known of a request when it comes. */
export function begin(req: IncomingMessage, res: ServerResponse): asserts res is Outgoing {
  const { url = '/', headers } = req;
  const given = headers['x-request-id'];
  const requestId = typeof given === 'string' && /^[A-Za-z0-9._~:/+=@-]{1,128}$/.test(given) ? given : newId();
  // All fields from the start, so that the engine keeps one shape for all requests.
  (res as Outgoing).locals = {
    requestId,
    url,
    beganMs: performance.now(),
    operation: undefined,
    head: false,
    allowed: undefined,
    params: undefined,
    accept: undefined,
    bytes: undefined,
    error: undefined,
  };
}

/** A path without its query. */
export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}
