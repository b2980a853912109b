/** Those who use the system through its Ingress. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { findBrowser } from '@task-manager/testing/browser';
import { root } from '@task-manager/dev/repository';
import * as cluster from './cluster.ts';
import type { Target } from './load.ts';

export async function demo(target: Target): Promise<string> {
  return throughPort(target, async (url) => (await run(join(root, 'scripts/demo.sh'), [url])).split('\n').at(-1) ?? '');
}

export async function showDocs(target: Target): Promise<string> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: ['--no-sandbox', '--disable-background-networking'],
  });
  const shown: string[] = [];
  const errors: string[] = [];
  try {
    const page = await browser.newPage();
    page.on('pageerror', ({ message }) => errors.push(message));
    page.on('requestfailed', (request) => {
      // A page that is left gives up what it has asked for.
      const { errorText = '' } = request.failure() ?? {};
      if (errorText !== 'net::ERR_ABORTED') errors.push(`${request.url()}: ${errorText}`);
    });
    await throughPort(target, async (url) => {
      for (const path of ['/', '/user/', '/docs']) {
        await page.goto(url + path);
        const operations = page.locator('[data-section-id*="operation/"]');
        await operations.last().waitFor({ state: 'attached' });
        shown.push(`${await operations.count()} at ${path}`);
      }
    });
  } finally {
    await browser.close();
  }
  if (errors.length > 0) throw new Error(errors.join(', '));
  return `operations: ${shown.join(', ')}`;
}

export async function fuzz(target: Target): Promise<string> {
  return throughPort(target, async (url) => {
    const output = await run('npm', ['run', '--silent', 'fuzz', '--', url, '--examples', '20']);
    return output.split('\n').slice(-3).join('; ');
  });
}

/** A port of this machine that leads to the Ingress, for programs that send the name they connect to. */
async function throughPort<Result>({ address, port }: Target, use: (url: string) => Promise<Result>): Promise<Result> {
  const server = createServer((socket) => {
    const upstream = connect(port, address);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.pipe(other);
      one.on('error', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use(`http://${cluster.host}:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

/** Runs a program from the repository's root, shows what it prints, and gives it back. Throws when it fails. */
export async function run(command: string, options: string[]): Promise<string> {
  const child = spawn(command, options, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    console.log(`   ${line}`);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const output = lines.join('\n').trim();
  if (code !== 0) throw new Error(`${command} failed: ${output.split('\n').at(-1) ?? ''}`);
  return output;
}
