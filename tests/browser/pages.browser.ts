/** The pages in Chromium behind the gateway, at desktop and phone width. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { chromium, type Browser, type Page, type Response } from 'playwright-core';
import { findBrowser } from '@task-manager/testing/browser';
import { startSandbox, type System } from '@task-manager/testing/system';

const root = fileURLToPath(new URL('../../', import.meta.url));
let browser: Browser;
let system: System;
/** The Ingress host: on plain HTTP a browser trusts it less than localhost. */
let host: string;

beforeAll(async () => {
  system = await startSandbox();
  host = `task-user.local:${system.port}`;
  browser = await chromium.launch({ executablePath: findBrowser(), args: browserArguments });
}, 60_000);

afterAll(async () => {
  // The browser may have failed to start; stop the system first.
  await system.stop();
  await browser.close();
}, 30_000);

const viewports = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];

describe.each([
  { name: 'Task service', path: '/', neighbour: 'User service' },
  { name: 'User service', path: '/user/', neighbour: 'Task service' },
])('the $name homepage', ({ name, path, neighbour }) => {
  describe.each(viewports)('$width pixels wide', (viewport) => {
    const visit = referenceAt(path, `${path}openapi.json`, name, viewport);
    const inPage = (selector: string) => visit.page.locator(selector);

    it('shows the service name and that it is healthy', async () => {
      expect(await inPage('h1').first().innerText()).toContain(name);
      await inPage('#health[data-state=healthy]').waitFor();
      await screenshot(visit.page, `${name} ${viewport.width}`);
    });

    it('links to the problems and to the other service', async () => {
      await inPage('.links a[href="problems/"]').click();
      await inPage('text=Not found').click();
      expect(await inPage('h1').innerText()).toBe('404 Not found');
      await inPage(`text=${name}`).first().click();
      await inPage(`.links >> text=${neighbour}`).click();
      expect(await inPage('h1').first().innerText()).toContain(neighbour);
      await inPage('#health[data-state=healthy]').waitFor();
    });

    it('links to the system docs', async () => {
      await inPage('.links >> text=System docs').click();
      expect(await inPage('h1').first().innerText()).toContain('Task Manager');
    });

    itLogsNoErrors(visit);
  });

  it('copies curl commands that succeed', async () => {
    const { page } = await open(path, { width: 1280, height: 800 });
    const buttons = await page.locator('#try button').all();
    expect(buttons.length).toBeGreaterThanOrEqual(4);
    for (const button of buttons) {
      await button.click();
      expect(await button.innerText()).toBe('Copied');
      const command = await paste(page);
      expect(command).toContain(`http://${host}${path}`);
      const options = `--silent --fail --resolve ${host}:127.0.0.1`;
      await promisify(execFile)('sh', ['-c', command.replace(/^curl/, `curl ${options}`)]);
    }
    await page.close();
  });
});

describe.each(viewports)('the docs, $width pixels wide', (viewport) => {
  const visit = referenceAt('/docs', '/docs/openapi.json', 'docs', viewport);
  const inPage = (selector: string) => visit.page.locator(selector);

  it('link to an operation in the reference and to each service', async () => {
    await inPage('.operations a[href="#operation/updateUser"]').click();
    const top = "document.getElementById('operation/updateUser').getBoundingClientRect().top";
    await visit.page.waitForFunction(`Math.abs(${top}) < 300`);
    expect(await inPage('.links').innerText()).toMatch(/Task service[^]*User service[^]*openapi.yaml/);
  });

  it('link a problem in the reference to its page', async () => {
    const operation = inPage('[id="operation/deleteUser"]');
    await operation.locator('button:has-text("Stale version")').first().click();
    const link = operation.locator('a:has-text("Stale version: cause and fix")');
    await screenshot(visit.page, `docs ${viewport.width} problem in the reference`);
    expect(await link.getAttribute('href')).toBe('/user/problems/precondition-failed');
  });

  itLogsNoErrors(visit);
});

describe.each(viewports)('the try-it form, $width pixels wide', (viewport) => {
  let visit: Visit;
  const inPage = (selector: string) => visit.page.locator(selector);
  const status = () => inPage('#try-it [role=status]');
  const responseBody = async () => JSON.parse(await inPage('#try-it pre').innerText()) as Record<string, string>;

  beforeEach(async () => {
    await fetch(`${system.url}/sandbox/reset`, { method: 'POST' });
    visit = await open('/docs', viewport);
    await inPage('.api-content a[href="#try/createTask"]').waitFor();
  });
  afterEach(async () => {
    expect(visit.otherHosts).toEqual([]);
    await visit.page.close();
  });

  it('creates a task and follows a link of the response', async () => {
    await inPage('.api-content a[href="#try/createTask"]').click();
    await screenshot(visit.page, `try it ${viewport.width}`);
    await inPage('#try-it >> text=Send').click();
    await inPage('#try-it >> text=201 Created').waitFor();
    await screenshot(visit.page, `try it ${viewport.width} sent`);
    const { id } = await responseBody();
    await inPage('#try-it .response button').first().click();
    expect(await inPage('#try-it input[name=taskId]').inputValue()).toBe(id);
    await inPage('#try-it >> text=Send').click();
    await inPage('#try-it >> text=200 OK').waitFor();
    expect(await responseBody()).toMatchObject({ id, title: 'Buy milk' });
    expect(await visit.page.evaluate('document.documentElement.scrollWidth')).toBe(viewport.width);
  });

  it('shows a problem and links to its page', async () => {
    await inPage('.operations a[href="#try/registerUser"]').click();
    await inPage('#try-it textarea').fill('{ "name": "" }');
    await inPage('#try-it >> text=Send').click();
    await inPage('#try-it >> text=400 Bad Request').waitFor();
    await screenshot(visit.page, `try it ${viewport.width} problem`);
    expect(await responseBody()).toMatchObject({ type: '/user/problems/invalid-request', instance: '/user/register' });
    await inPage('#try-it a').click();
    await visit.page.waitForURL('**/user/problems/invalid-request');
    expect(await inPage('h1').innerText()).toBe('400 Invalid request');
  });

  it('sends path parameters, query parameters and headers', async () => {
    await inPage('.operations a[href="#try/listTasks"]').click();
    await inPage('#try-it summary').click();
    await inPage('#try-it input[name=q]').fill('milk & plumber');
    await inPage('#try-it input[name=limit]').fill('1');
    await inPage('#try-it >> text=Send').click();
    await inPage('#try-it >> text=200 OK').waitFor();
    expect(await responseBody()).toEqual({ items: [], nextCursor: null });
    await inPage('#try-it >> text=Close').click();

    await inPage('.operations a[href="#try/deleteTask"]').click();
    await inPage('#try-it summary').click();
    await inPage('#try-it input[name=If-Match]').fill('"7"');
    await inPage('#try-it >> text=Send').click();
    await inPage('#try-it >> text=412 Precondition Failed').waitFor();
    await inPage('#try-it input[name=taskId]').fill('../health');
    await inPage('#try-it >> text=Send').click();
    await inPage('#try-it >> text=400 Bad Request').waitFor();
  });

  it('gets a 2xx response for every operation with its examples', async () => {
    const links = await inPage('.operations a[href^="#try/"]').all();
    expect(links.length).toBeGreaterThan(15);
    const failed: string[] = [];
    for (const link of links) {
      await link.click();
      await inPage('#try-it >> text=Send').click();
      await inPage('#try-it [role=status]:text-matches("^[0-9]")').waitFor();
      if (!/^20/.test(await status().innerText()))
        failed.push(`${await link.getAttribute('href')}: ${await status().innerText()}`);
      await inPage('#try-it >> text=Close').click();
    }
    expect(failed).toEqual([]);
  });

  it('works by keyboard and opens from its URL', async () => {
    const link = inPage('.operations a[href="#try/getTask"]');
    await link.press('Enter');
    expect(await visit.page.evaluate('document.activeElement.name')).toBe('taskId');
    await visit.page.keyboard.press('Enter');
    await inPage('#try-it >> text=200 OK').waitFor();
    await visit.page.keyboard.press('Escape');
    expect(await inPage('#try-it').isVisible()).toBe(false);
    expect(await visit.page.evaluate('document.activeElement.hash')).toBe('#try/getTask');
    await visit.page.goto(`http://${host}/docs#try/getUser`);
    await visit.page.reload();
    await inPage('#try-it code:has-text("/user/users/{userId}")').waitFor();
  });
});

/** Opens a page with an API reference for the surrounding tests and adds the tests that all such pages share. */
function referenceAt(path: string, contractPath: string, name: string, viewport: Viewport): Visit {
  const visit = {} as Visit;
  let contract: Contract;

  beforeAll(async () => {
    contract = (await (await fetch(system.url + contractPath)).json()) as Contract;
    Object.assign(visit, await open(path, viewport));
    await visit.page.locator(`[id="operation/${operationIdsIn(contract).at(-1) ?? ''}"]`).waitFor();
  });
  afterAll(async () => {
    await visit.page.close();
  });

  it('shows every operation of the contract once', async () => {
    const shown = await visit.page.locator('[id^="operation/"]:visible').all();
    const ids = await Promise.all(shown.map((each) => each.getAttribute('id')));
    expect(ids.sort()).toEqual(
      operationIdsIn(contract)
        .map((id) => `operation/${id}`)
        .sort(),
    );
  });

  it('fits the viewport and loads without layout shift', async () => {
    expect(await visit.page.evaluate('document.documentElement.scrollWidth')).toBe(viewport.width);
    expect(await visit.page.evaluate(layoutShift)).toBeLessThan(0.05);
    await screenshot(visit.page, `${name} ${viewport.width}`);
    await visit.page.evaluate("document.querySelector('#reference').scrollIntoView()");
    await screenshot(visit.page, `${name} ${viewport.width} reference`);
    await visit.page.evaluate('scrollTo(0, 0)');
  });

  it('is served under a strict Content-Security-Policy', () => {
    const policy = visit.response.headers()['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
  });
  return visit;
}

/** Call it last, so that it covers the tests before it. */
function itLogsNoErrors(visit: Visit): void {
  it('logs no errors and sends no request to another host', () => {
    expect(visit.errors).toEqual([]);
    expect(visit.otherHosts).toEqual([]);
  });
}

function operationIdsIn({ paths }: Contract): string[] {
  return Object.values(paths).flatMap((item) => Object.values(item).flatMap(({ operationId }) => operationId ?? []));
}

type Viewport = (typeof viewports)[number];

interface Contract {
  paths: Record<string, Record<string, { operationId?: string }>>;
}

interface Visit {
  page: Page;
  response: Response;
  errors: string[];
  otherHosts: string[];
}

async function open(path: string, viewport: Viewport): Promise<Visit> {
  const page = await browser.newPage({ viewport });
  const errors: string[] = [];
  const otherHosts: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  page.on('request', (request) => {
    const requested = new URL(request.url());
    if (requested.protocol.startsWith('http') && requested.host !== host) otherHosts.push(request.url());
  });
  const response = await page.goto(`http://${host}${path}`);
  if (!response) throw new Error(`no response for ${path}`);
  return { page, response, errors, otherHosts };
}

async function screenshot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(root, 'reports/pages', `${name.toLowerCase().replaceAll(' ', '-')}.png`) });
}

/** The clipboard's text. Pasted into a field, because the clipboard API requires https. */
async function paste(page: Page): Promise<string> {
  await page.evaluate("document.body.prepend(document.createElement('textarea'))");
  const field = page.locator('textarea').first();
  await field.press('ControlOrMeta+V');
  return await field.inputValue();
}

/** Cumulative layout shift: https://web.dev/articles/cls. */
const layoutShift = `new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().reduce((sum, { value }) => sum + value, 0)))
    .observe({ type: 'layout-shift', buffered: true });
  setTimeout(resolve, 500, 0);
})`;

const browserArguments = [
  // Block DNS lookups of every other host.
  '--host-resolver-rules=MAP task-user.local 127.0.0.1, MAP * ~NOTFOUND',
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];
