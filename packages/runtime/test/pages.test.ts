/** The pages over HTTP; tests/browser/pages.browser.ts opens them in a browser. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readContract } from '@task-manager/runtime/contract/document';
import { html } from '@task-manager/runtime/docs/html';
import { docsRouter } from '@task-manager/runtime/docs/router';
import { redocBundle } from '@task-manager/runtime/docs/redoc';
import { referenceOf } from '@task-manager/runtime/docs/reference';
import { curl, samplesOf } from '@task-manager/runtime/docs/samples';
import express from 'express';
import { send } from '@task-manager/testing/subject';

const contract = readContract(new URL('../../../generated/task-service.yaml', import.meta.url));
const docs = readContract(new URL('../../../generated/task-manager.yaml', import.meta.url));

let server: Server;
let url: string;
beforeAll(async () => {
  const app = express().enable('strict routing').enable('case sensitive routing');
  for (const base of ['/user', '/']) app.use(base, docsRouter(contract, docs));
  server = createServer(app);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

const get = async (path: string, headers = {}) => send(url + path, 'GET', headers);
const text = (value: string) => html`${value}`.html;
const attributes = (page: string, name: string) =>
  [...page.matchAll(new RegExp(`\\s${name}="([^"]*)"`, 'g'))].map(([, value = '']) => value);
const headings = (page: string) =>
  [...page.matchAll(/<h\d[^>]*>(.*?)<\/h\d>/gs)].map(([, inner = '']) =>
    inner
      .replace(/<[^>]+>/g, '')
      .replace(/\s+/g, ' ')
      .trim(),
  );

describe.each(['', '/user'])('pages mounted at "%s"', (base) => {
  it.each(['/', '/docs', '/problems/', '/problems/not-found'])('have no broken link: %s', async (path) => {
    const { text: page } = await get(base + path);
    const links = [...attributes(page, 'href'), ...attributes(page, 'src')];
    for (const link of links) {
      const target = new URL(link, url + base + path);
      if (target.origin !== url) continue;
      // These pages are served by the other service, through the gateway.
      if (['/', '/user/', '/docs'].includes(link)) continue;
      expect(link).not.toMatch(/^\//);
      expect({ link, status: (await get(target.pathname + target.search)).status }).toEqual({ link, status: 200 });
      // Redoc and assets/pages.js resolve the other fragments.
      if (/^#(?!tag\/|try\/|operation\/)/.test(target.hash))
        expect(attributes(page, 'id')).toContain(target.hash.slice(1));
    }
    expect(links.length).toBeGreaterThan(2);
  });

  it.each([
    ['/docs/', '/docs'],
    ['/problems', '/problems/'],
    ['/problems/not-found/', '/problems/not-found'],
  ])('redirect %s to %s', async (path, canonical) => {
    expect(await get(base + path)).toMatchObject({ status: 308, headers: { location: base + canonical } });
  });
});

describe('a page', () => {
  it('redirects to the trailing slash when the prefix is requested without it', async () => {
    expect(await get('/user?query')).toMatchObject({ status: 308, headers: { location: '/user/' } });
    expect(await get('/user/?query')).toMatchObject({ status: 200, text: expect.stringContaining('<h1>') });
  });

  it('has a media type and an ETag, and must be revalidated', async () => {
    for (const [path, type] of [
      ['/', 'text/html; charset=utf-8'],
      ['/docs', 'text/html; charset=utf-8'],
      ['/reference.json', 'application/json; charset=utf-8'],
      ['/openapi.json', 'application/json; charset=utf-8'],
      ['/openapi.yaml', 'application/yaml'],
      ['/assets/pages.css', 'text/css; charset=utf-8'],
      ['/assets/pages.js', 'text/javascript; charset=utf-8'],
      ['/assets/icon.svg', 'image/svg+xml'],
    ]) {
      const { status, headers } = await get(path as string);
      expect({ path, status, ...headers }).toMatchObject({
        status: 200,
        'content-type': expect.stringContaining(type as string),
        'cache-control': 'no-cache',
        etag: expect.stringMatching(/^"[\w-]{12}"$/),
      });
      expect(await get(path as string, { 'If-None-Match': headers.etag })).toMatchObject({ status: 304, text: '' });
    }
  });

  it('is immutable only when the URL has its current version', async () => {
    const { headers } = await get('/assets/pages.css');
    const version = String(headers.etag).slice(1, -1);
    const versionedAsset = await get(`/assets/pages.css?v=${version}`);
    expect(versionedAsset.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect((await get('/assets/pages.css?v=another')).headers['cache-control']).toBe('no-cache');
    for (const path of ['/', '/problems/']) {
      const { text: page } = await get(path);
      const versioned = [...attributes(page, 'href'), ...attributes(page, 'src')].filter((link) => link.includes('?'));
      expect(versioned.length).toBeGreaterThan(1);
      for (const link of versioned) {
        const { headers } = await get(new URL(link, url + path).href.slice(url.length));
        expect({ link, ...headers }).toMatchObject({ 'cache-control': versionedAsset.headers['cache-control'] });
      }
    }
  });

  it('links each asset with its own version', async () => {
    const { text: page } = await get('/');
    const versions = [...page.matchAll(/\?v=([\w-]{12})"/g)].map(([, version]) => version);
    expect(versions.length).toBeGreaterThan(3);
    expect(new Set(versions).size).toBe(versions.length);
  });

  it('returns 405 for methods other than GET, HEAD and OPTIONS, and 404 for unknown paths', async () => {
    const detail = expect.stringContaining('Method not allowed. Allowed: GET, HEAD, OPTIONS.');
    const head = await send(`${url}/docs`, 'HEAD');
    expect(head).toMatchObject({ status: 200, text: '', headers: { etag: (await get('/docs')).headers.etag } });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect(await send(`${url}/docs`, method)).toMatchObject({ status: 405, text: detail });
    }
    expect(await send(`${url}/docs`, 'OPTIONS')).toMatchObject({
      status: 204,
      headers: { allow: 'GET, HEAD, OPTIONS' },
    });
    for (const path of ['/doc', '/assets/', '/assets', '/problems/none', '/user/nowhere']) {
      expect({ path, status: (await get(path)).status }).toEqual({ path, status: 404 });
    }
  });

  it('has a Content-Security-Policy that allows only its own scripts and assets', async () => {
    const { headers, text: page } = await get('/');
    const policy = String(headers['content-security-policy']).split(';').sort();
    expect(policy).toEqual(
      [
        "default-src 'none'",
        "script-src 'self'",
        'worker-src blob:',
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].sort(),
    );
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    for (const name of ['cross-origin-opener-policy', 'origin-agent-cluster']) expect(headers).not.toHaveProperty(name);
    expect(page.match(/<script(?![^>]* src=)[^>]*>/g)).toBeNull();
    for (const link of attributes(page, 'src')) expect(link).toMatch(/^assets\//);
    expect(page.match(/googleapis|unpkg/)).toBeNull();
  });
});

describe('the homepage', () => {
  it('introduces the service and has a health status', async () => {
    const { text: page } = await get('/');
    const { info, tags, externalDocs } = contract.document;
    expect(page).toMatch(/^\s*<!DOCTYPE html>\s*<html lang="en">/i);
    expect(page).toContain(`<title>${info.title}</title>`);
    expect(page).toContain(`<meta name="description" content="${text(info.summary)}" />`);
    expect(page).toContain(`<p class="summary">${text(info.summary)}</p>`);
    expect(page).toContain(`<h1>${info.title} <small>${info.version}</small></h1>`);
    expect(page).toContain('<p id="health" role="status" data-state="unknown">Checking…</p>');
    expect(page).toContain('<a class="brand" href="./">');
    const [first = ''] = info.description.split(/[`[\n]/);
    expect(page).toContain(`<p>${text(first)}`);
    for (const { name, description } of tags) {
      expect(page).toMatch(new RegExp(`<a href="#tag/${name.replaceAll(' ', '-')}">${name}</a></dt>\\s*<dd>`));
      expect(page).toContain(`<dd>${text(description)}</dd>`);
    }
    expect(page).toContain(`<a href="${externalDocs?.url}">`);
    const [name, purpose] = String(externalDocs?.description).split(': ');
    expect(page).toContain(`>${name}</a></b> ${purpose}`);
    for (const form of ['yaml', 'json']) expect(page).toContain(`<a href="openapi.${form}">openapi.${form}</a>`);
    expect(page.match(/\bundefined\b|\[object/)).toBeNull();
  });

  it('has a curl command for exactly the operations that need no id', async () => {
    const { text: page } = await get('/');
    const commands = contract.operations.filter(({ path }) => !path.includes('{'));
    expect(headings(page)).toEqual(
      expect.arrayContaining([
        'Try it',
        'Reference',
        ...commands.map(({ method, summary }) => `${method} ${text(summary)}`),
      ]),
    );
    expect(page.split('<article>').length - 1).toBe(commands.length);
    for (const operation of commands) {
      expect(page).toContain(`<b data-method="${operation.method}">${operation.method}</b>`);
      expect(page).toContain(`<pre><code>${text(curl(operation))}</code></pre>`);
      const label = `Try it: ${text(operation.summary)}`;
      expect(page).toContain(`<a href="#try/${operation.operationId}" aria-label="${label}">Try it</a>`);
    }
    expect(page.match(/<button type="button">Copy<\/button>/g)?.length).toBe(commands.length);
  });

  it.each(['/', '/docs'])('has the elements that assets/pages.js fills in: %s', async (path) => {
    const { text: page } = await get(path);
    expect(page).toMatch(
      /<dialog id="try-it" aria-labelledby="try-it-title" closedby="any">.*<form>.*<\/form>.*<\/dialog>/s,
    );
    expect(page).toContain('<h2 id="try-it-title"></h2>');
    expect(page).toContain('<button type="button" data-do="close">Close</button>');
    for (const part of ['<b data-method></b>', '<div class="fields"></div>', '<button>Send</button>']) {
      expect(page).toContain(part);
    }
    expect(page).toContain('<div class="response"></div>');
    expect(page).toMatch(/<link rel="preload" as="fetch" crossorigin href="[^"]+" id="reference-document" \/>/);
    expect(page.indexOf('<dialog')).toBeLessThan(page.indexOf('<div id="redoc-container">'));
  });
});

describe('the docs', () => {
  it('list every operation under its service', async () => {
    const { text: page } = await get('/docs');
    const { document, operations } = docs;
    expect(page).toContain(`<title>${document.info.title}</title>`);
    expect(page).toContain('<a class="brand" href="docs">');
    expect(page.match(/id="health"/)).toBeNull();
    const [, ...groups] = page.split('<h3>');
    expect(groups.length).toBe(document['x-tagGroups']?.length);
    for (const [index, { name, tags }] of (document['x-tagGroups'] ?? []).entries()) {
      const group = groups[index] as string;
      expect(group).toMatch(new RegExp(`^${name}</h3>`));
      const inGroup = operations.filter((operation) => tags.some((tag) => operation.tags.includes(tag)));
      expect(group.match(/<b data-method=/g)?.length).toBeGreaterThanOrEqual(inGroup.length);
      for (const { operationId, method, path, summary } of inGroup) {
        const row = new RegExp(
          `<b data-method="${method}">${method}</b>\\s*<a href="#operation/${operationId}">${text(summary)}</a> ` +
            `<code>${path.replace(/[{}]/g, '\\$&')}</code>\\s*` +
            `<a href="#try/${operationId}" aria-label="Try it: ${text(summary)}">Try it</a>`,
        );
        expect(group).toMatch(row);
      }
    }
    expect(page.match(/href="#operation\//g)?.length).toBe(operations.length);
    expect(page).toContain('<nav><a href="#try">Operations</a> <a href="#reference">Reference</a></nav>');
    for (const form of ['yaml', 'json']) expect(page).toContain(`<a href="docs/openapi.${form}">openapi.${form}</a>`);
  });

  it('link each service once', async () => {
    const { text: page } = await get('/docs');
    const services = new Set(docs.document.tags.map(({ externalDocs }) => externalDocs?.url));
    expect(services.size).toBe(2);
    for (const service of services) expect(page.split(`<b><a href="${service}">`).length).toBe(2);
  });
});

describe('the reference', () => {
  it('starts Redoc with the reference document', async () => {
    const { text: script } = await get('/assets/pages.js');
    expect(script).toMatch(/addEventListener\('DOMContentLoaded', async \(\) => \{\s*Redoc\.init\(\s*await reference,/);
    const [, options = '{}'] = /await reference,\s*(\{.*\}),\s*document/s.exec(script) ?? [];
    const { scrollYOffset, payloadSampleIdx } = JSON.parse(options) as Record<string, string>;
    expect((await get('/')).text).toContain(`class="${scrollYOffset?.slice(1)}"`);
    // Redoc shows the payload after the samples.
    for (const operation of contract.operations) {
      expect(samplesOf(operation, contract.document).length).toBe(payloadSampleIdx);
    }
    const { text: bundle } = await get('/assets/redoc.standalone.js');
    expect(bundle.match(/cdn\.redoc\.ly|# sourceMappingURL=redoc/)).toBeNull();
  });

  it('has the colours and fonts of the page', async () => {
    const { text: css } = await get('/assets/pages.css');
    const { text: script } = await get('/assets/pages.js');
    const variables = Object.fromEntries(
      [...css.matchAll(/^ {2}--(\w+): (.+);$/gm)].map(([, name = '', value = '']) => [
        name,
        value.replaceAll("'", '"'),
      ]),
    );
    const [, options = '{}'] = /await reference,\s*(\{.*\}),\s*document/s.exec(script) ?? [];
    const { ink, quiet, accent, line, wash, code } = variables;
    const [, fonts = ''] = /^body \{[^}]*?(system-ui[^;]*);/m.exec(css.replaceAll("'", '"')) ?? [];
    const fontFamily = fonts.replace(/\s+/g, ' ');
    expect((JSON.parse(options) as { theme: object }).theme).toMatchObject({
      spacing: { sectionVertical: expect.any(Number) },
      colors: { primary: { main: accent }, text: { primary: ink, secondary: quiet }, border: { dark: line } },
      typography: {
        fontSize: expect.stringMatching(/^\d+px$/),
        fontFamily,
        headings: { fontFamily, fontWeight: '600' },
        code: { fontFamily: code, color: expect.stringMatching(/^#/) },
      },
      sidebar: { backgroundColor: wash, textColor: ink, activeTextColor: accent },
      rightPanel: { backgroundColor: ink },
      fab: { backgroundColor: accent, color: '#ffffff' },
      codeBlock: { backgroundColor: expect.stringMatching(/^#/) },
    });
  });

  it('loads its scripts from assets/', async () => {
    for (const path of ['/', '/docs']) {
      const { text: page } = await get(path);
      expect(attributes(page, 'src').map((link) => link.split('?', 1)[0])).toEqual([
        'assets/pages.js',
        'assets/redoc.standalone.js',
      ]);
    }
  });

  it('fails when a string to replace is not in the Redoc bundle', () => {
    expect(() => redocBundle('another')).toThrow('redoc or redoc-express has changed: https://cdn.redoc.ly');
  });

  it('is the contract with samples and a try-it link for each operation', async () => {
    const { body } = await get('/reference.json');
    const before = JSON.stringify(contract.document);
    expect(body).toEqual(JSON.parse(JSON.stringify(referenceOf(contract))));
    expect(JSON.stringify(contract.document)).toBe(before);
    for (const operation of contract.operations) {
      const item = contract.document.paths[operation.path] as Record<string, { description: string }>;
      const extended = (body.paths as Record<string, Record<string, object>>)[operation.path]?.[
        operation.method.toLowerCase()
      ];
      expect(extended).toMatchObject({
        description: `${item[operation.method.toLowerCase()]?.description}\n\n[Try it](#try/${operation.operationId})`,
        'x-codeSamples': samplesOf(operation, contract.document),
      });
    }
  });

  it('shows each problem by its title and links its page', async () => {
    const { body } = await get('/reference.json');
    const { responses } = body.components as {
      responses: Record<string, { description: string; 'x-summary'?: string }>;
    };
    for (const { title, example } of contract.problems.values()) {
      const [response] = Object.values(responses).filter((each) => each['x-summary']?.split(', or ').includes(title));
      expect(response?.description).toMatch(/^[^[]+\n\n\[/s);
      expect(response?.description).toContain(`[${title}: cause and fix](${String(example.type)})`);
    }
    for (const [name, { content }] of Object.entries(
      contract.document.components.responses as Record<string, { content?: object }>,
    )) {
      if (!content || !('application/problem+json' in content)) expect(responses[name]).not.toHaveProperty('x-summary');
    }
  });
});

describe('the problem pages', () => {
  it('are listed in the order of their status', async () => {
    const { text: page } = await get('/problems/');
    const listed = [...page.matchAll(/<a href="([^"]+)"><b>(\d+)<\/b> ([^<]+)<\/a>/g)].map((each) => each.slice(1));
    const kinds = [...contract.problems.values()].map(({ name, status, title }) => [name, String(status), text(title)]);
    expect([...listed].sort()).toEqual(kinds.sort());
    const statuses = listed.map(([, status]) => Number(status));
    expect(statuses).toEqual([...statuses].sort((a, b) => a - b));
    expect(page).toContain(`<title>Problems · ${contract.document.info.title}</title>`);
    expect(headings(page)).toEqual(['Problems']);
    expect(page).toContain(`<p class="breadcrumb"><a href="../">${contract.document.info.title}</a></p>`);
  });

  it.each([...contract.problems.values()])(
    'describe the problem and show an example: $name',
    async ({ name, title, status, description, example }) => {
      const { text: page } = await get(`/problems/${name}`);
      const { title: service } = contract.document.info;
      expect(page).toMatch(/^<!doctype html>\s*<html lang="en">/);
      expect(page).toContain(`<title>${text(title)} · Problems · ${service}</title>`);
      expect(page).toContain(`<h1><b>${status}</b> ${text(title)}</h1>`);
      expect(page).toContain(`<a href="../">${service}</a> / <a href="./">Problems</a>`);
      const [first = ''] = description.trim().split(/[`[\n]/);
      expect(page).toContain(`<p>${text(first)}`);
      expect(page).toContain(`<pre>${text(JSON.stringify(example, null, 2))}</pre>`);
    },
  );
});
