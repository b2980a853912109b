/** Proves the format of the log on standard output. For the line of each request, see testing/src/observability.ts. */
import fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createLogger } from '@task-manager/runtime/http/log';

/** The text of each write to standard output. */
let written: string[];

beforeEach(() => {
  written = [];
  jest.spyOn(fs, 'writeSync').mockImplementation((file, text) => {
    expect(file).toBe(1);
    written.push(text);
    return Buffer.byteLength(text);
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});

describe('createLogger', () => {
  it('writes one JSON object a line, with its level, the time and the service', async () => {
    const began = Date.now();
    createLogger('a-service', 'info').info({ more: 1 }, 'hello');
    await nextTurn();
    expect(written.join('')).toMatch(/^\{[^\n]+\}\n$/);
    const { time, ...line } = JSON.parse(written.join('')) as { time: string };
    expect(line).toEqual({ level: 30, service: 'a-service', more: 1, msg: 'hello' });
    expect(time).toBe(new Date(time).toISOString());
    expect(Date.parse(time)).toBeGreaterThanOrEqual(began);
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now());
  });

  it('writes the time of each line when lines share a millisecond', async () => {
    const logger = createLogger('a-service', 'info');
    const now = jest.spyOn(Date, 'now');
    const times = ['2026-01-01T00:00:00.001Z', '2026-01-01T00:00:00.001Z', '2026-01-01T00:00:00.002Z'];
    for (const time of times) {
      now.mockReturnValue(Date.parse(time));
      logger.info('');
    }
    await nextTurn();
    const lines = written.join('').trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { time: string }).time)).toEqual(times);
  });

  it('writes the lines of one turn of the event loop together, and each once', async () => {
    const logger = createLogger('a-service', 'info');
    logger.info('one');
    logger.info('two');
    expect(written).toEqual([]);
    await nextTurn();
    expect(written.map((text) => text.split('\n').length - 1)).toEqual([2]);
    logger.info('three');
    await nextTurn();
    await nextTurn();
    expect(written.length).toBe(2);
    expect(written[1]).toMatch(/^\{[^\n]+three[^\n]+\n$/);
  });

  it('writes no line below its level', async () => {
    const logger = createLogger('a-service', 'warn');
    logger.info('one');
    logger.warn('two');
    await nextTurn();
    expect(written.join('')).toMatch(/^\{[^\n]+two[^\n]+\n$/);
  });
});
