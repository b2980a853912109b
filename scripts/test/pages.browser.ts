/** The pages in a real browser, behind the real gateway: what a person sees at a desk and on a phone. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chromium, type Browser, type Page, type Response } from 'playwright-core';
import { startSystem, type System } from './system.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const browserPath = findBrowser();
let browser: Browser;
let system: System;
/** The name that the Ingress has, on plain http: a browser trusts it less than localhost. */
let host: string;

beforeAll(async () => {
  system = await startSystem();
  host = `task-user.local:${system.port}`;
  browser = await chromium.launch({ executablePath: browserPath, args: browserArguments });
}, 60_000);

afterAll(async () => {
  // Before the browser, which may not have started.
  await system.stop();
  await browser.close();
}, 30_000);

describe.each([
  { name: 'Task service', path: '/', neighbour: 'User service' },
  { name: 'User service', path: '/user/', neighbour: 'Task service' },
])('the homepage of the $name', ({ name, path, neighbour }) => {
  describe.each([
    { width: 1280, height: 800 },
    { width: 390, height: 844 },
  ])('$width pixels wide', (viewport) => {
    let visit: Visit;
    const inPage = (selector: string) => visit.page.locator(selector);

    beforeAll(async () => {
      visit = await open(path, viewport);
      await inPage('[id="operation/getLiveness"]').waitFor();
    });

    afterAll(async () => {
      await visit.page.close();
    });

    it('shows what the service is and that it is healthy', async () => {
      expect(await inPage('h1').first().innerText()).toContain(name);
      await inPage('#health[data-state=healthy]').waitFor();
      await photograph(visit.page, `${name} ${viewport.width}`);
    });

    it('shows every operation of the contract in the reference', async () => {
      const contract = (await (await fetch(`${system.url}${path}openapi.json`)).json()) as Contract;
      const operations = Object.values(contract.paths)
        .flatMap((item) => Object.values(item))
        .filter(({ operationId }) => operationId);
      for (const { operationId } of operations) {
        expect(await inPage(`[id="operation/${operationId}"]`).isVisible()).toBe(true);
      }
      await visit.page.evaluate("document.querySelector('#reference').scrollIntoView()");
      await photograph(visit.page, `${name} ${viewport.width} reference`);
    });

    it('fits the width, and did not jump while it loaded', async () => {
      expect(await visit.page.evaluate('document.documentElement.scrollWidth')).toBe(viewport.width);
      expect(await visit.page.evaluate(layoutShift)).toBeLessThan(0.05);
    });

    it('is served under a strict Content-Security-Policy', () => {
      const policy = visit.response.headers()['content-security-policy'];
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self';");
    });

    it('leads to the problems, and to the other service', async () => {
      await inPage('main >> text=Problems').click();
      await inPage('text=Not found').click();
      expect(await inPage('h1').innerText()).toBe('404 Not found');
      await inPage(`text=${name}`).first().click();
      await inPage(`main >> text=${neighbour}`).click();
      expect(await inPage('h1').first().innerText()).toContain(neighbour);
      await inPage('#health[data-state=healthy]').waitFor();
    });

    // The last, so that it has seen what the ones before did.
    it('has logged no error and asked no other host', () => {
      expect(visit.errors).toEqual([]);
      expect(visit.otherHosts).toEqual([]);
    });
  });

  it('has curl lines that can be copied, and work', async () => {
    const { page } = await open(path, { width: 1280, height: 800 });
    const buttons = await page.locator('#try button').all();
    expect(buttons.length).toBeGreaterThanOrEqual(4);
    for (const button of buttons) {
      await button.click();
      expect(await button.innerText()).toBe('Copied');
      const line = await paste(page);
      expect(line).toContain(`http://${host}${path}`);
      const options = `--silent --fail --resolve ${host}:127.0.0.1`;
      await promisify(execFile)('sh', ['-c', line.replace(/^curl/, `curl ${options}`)]);
    }
    await page.close();
  });
});

interface Contract {
  paths: Record<string, Record<string, { operationId: string }>>;
}

interface Visit {
  page: Page;
  response: Response;
  errors: string[];
  otherHosts: string[];
}

async function open(path: string, viewport: { width: number; height: number }): Promise<Visit> {
  const page = await browser.newPage({ viewport });
  const errors: string[] = [];
  const otherHosts: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  page.on('request', (request) => {
    const { protocol, host: asked } = new URL(request.url());
    if (protocol.startsWith('http') && asked !== host) otherHosts.push(request.url());
  });
  const response = await page.goto(`http://${host}${path}`);
  if (!response) throw new Error(`no answer for ${path}`);
  return { page, response, errors, otherHosts };
}

async function photograph(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(root, 'reports/pages', `${name.toLowerCase().replaceAll(' ', '-')}.png`) });
}

/** What the clipboard holds. Read by hand: on plain http the browser has no API for it. */
async function paste(page: Page): Promise<string> {
  await page.evaluate("document.body.prepend(document.createElement('textarea'))");
  const field = page.locator('textarea').first();
  await field.press('ControlOrMeta+V');
  return await field.inputValue();
}

/** How far things moved by themselves: https://web.dev/articles/cls. */
const layoutShift = `new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().reduce((sum, { value }) => sum + value, 0)))
    .observe({ type: 'layout-shift', buffered: true });
  setTimeout(resolve, 500, 0);
})`;

const browserArguments = [
  // Not even a name is looked up elsewhere.
  '--host-resolver-rules=MAP task-user.local 127.0.0.1, MAP * ~NOTFOUND',
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

function findBrowser(): string {
  const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = [
    process.env.CHROME_PATH ?? '',
    process.env.CHROMIUM_PATH ?? '',
    ...names.flatMap((name) => folders.map((folder) => join(folder, name))),
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
  ].find((path) => existsSync(path));
  if (found) return found;
  const error = new Error('No browser found: install Chromium or Chrome, or set CHROME_PATH to one.');
  error.stack = error.message;
  throw error;
}
