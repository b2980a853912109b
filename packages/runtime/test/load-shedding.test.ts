import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { Load } from '../src/http/load-shedding.ts';
import { HttpError, overloaded } from '../src/errors.ts';

const newResponse = () => new ServerResponse(new IncomingMessage(new Socket()));

describe('addFollower', () => {
  it('rejects a client with 429 after 500 requests, until one of them ends', () => {
    const load = new Load();
    const responses = Array.from({ length: 500 }, newResponse);
    for (const res of responses) load.addFollower('192.0.2.1', res);
    const rejected = newResponse();
    const add = () => {
      load.addFollower('192.0.2.1', rejected);
    };
    expect(add).toThrow(HttpError);
    expect(rejected.getHeader('Retry-After')).toBe(1);
    load.addFollower('192.0.2.2', newResponse());
    responses[0]?.emit('close');
    expect(add).not.toThrow();
  });

  it('rejects every client after 5000 requests, until one of them ends', () => {
    const load = new Load();
    const responses = Array.from({ length: 5000 }, newResponse);
    for (const res of responses) load.addFollower(undefined, res);
    const add = () => {
      load.addFollower(undefined, newResponse());
    };
    expect(add).toThrow(overloaded);
    responses[0]?.emit('close');
    expect(add).not.toThrow();
  });
});
