/** What a person sees in a browser: pages with the reference, the contract, a page for each kind of problem. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import express, { type Router } from 'express';
import helmet from 'helmet';
import type { Contract, ProblemKind } from '../contract/document.ts';
import { docsPage, homepage } from './homepage.ts';
import { html, markdown, type Html } from './html.ts';
import { redocBundle, withRedoc } from './redoc.ts';
import { referenceOf } from './reference.ts';
import { rejectMethod } from '../http/middleware.ts';

/**
 * Answers for the pages of a service; whatever else is asked for goes on to the next handler. Mount it at each
 * base path: the pages hold relative links, so they are right under any. Needs no database and no internet.
 * `docs` is the contract of the whole system, if it is this service that shows it.
 */
export function docsRouter(contract: Contract, docs?: Contract): Router {
  const served = makePages(contract, docs);
  return express.Router().use((req, res, next) => {
    // Express has the path `/` for both `/user` and `/user/`.
    const path = req.originalUrl.split('?', 1)[0]?.endsWith('/') ? req.path : req.path.replace(/\/$/, '');
    const page = served.get(path);
    const other = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
    if (page && req.method !== 'GET' && req.method !== 'HEAD') {
      rejectMethod(req, res, 'GET, HEAD, OPTIONS');
    } else if (page) {
      // During a rollout a replica may be asked for another version than it has: that must not be kept.
      const mayKeep = req.query.v === page.version;
      res.set('Cache-Control', mayKeep ? 'public, max-age=31536000, immutable' : 'no-cache');
      res.set('ETag', `"${page.version}"`).type(page.type);
      secure(req, res, () => res.send(page.body));
    } else if (served.has(other)) {
      res.redirect(308, req.baseUrl + other);
    } else {
      next();
    }
  });
}

const secure = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      // Redoc searches in a worker of its own making, and styles what it renders in place.
      workerSrc: ['blob:'],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  // Browsers complain of these on plain http, which is what the Ingress speaks.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
});

interface Page {
  type: string;
  body: Buffer;
  /** Differs when the body does. */
  version: string;
}

function page(type: string, content: string): Page {
  return {
    type,
    body: Buffer.from(content),
    version: createHash('sha256').update(content).digest('base64url').slice(0, 12),
  };
}

/** Everything there is, by path: nothing else is looked for. */
function makePages(contract: Contract, docs?: Contract): Map<string, Page> {
  const { title } = contract.document.info;
  const kinds = [...contract.problems.values()].sort((one, other) => one.status - other.status);
  return new Map([
    ...withReference('/', contract, homepage),
    ...(docs ? withReference('/docs', docs, docsPage) : []),
    ['/problems/', page('html', problemList(title, kinds))],
    ...kinds.map((kind) => [`/problems/${kind.name}`, page('html', problemPage(title, kind))] as const),
    ...[...assets].map(([name, asset]) => [`/assets/${name}`, asset] as const),
  ]);
}

/** A page with a reference, and below it what the reference is made of and the contract as it is. */
function withReference(path: string, contract: Contract, toHtml: typeof homepage): [string, Page][] {
  const folder = path.replace(/\/?$/, '/');
  const reference = page('json', JSON.stringify(referenceOf(contract)));
  const referenceUrl = `${folder.slice(1)}reference.json?v=${reference.version}`;
  return [
    [path, page('html', toHtml(contract, { assetUrl, referenceUrl }))],
    [`${folder}reference.json`, reference],
    [`${folder}openapi.yaml`, page('application/yaml', contract.yaml)],
    [`${folder}openapi.json`, page('json', JSON.stringify(contract.document, null, 2))],
  ];
}

/** The build puts them there: docs/assets/ and the bundle of Redoc. */
const folder = new URL('../../dist/docs/assets/', import.meta.url);

const changes = new Map([
  ['redoc.standalone.js', redocBundle],
  ['pages.js', withRedoc],
]);

const assets = new Map(
  readdirSync(folder).map((name) => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    return [name, page(extname(name), changes.get(name)?.(text) ?? text)] as const;
  }),
);

function assetUrl(name: string): string {
  return `assets/${name}?v=${assets.get(name)?.version}`;
}

function problemList(service: string, kinds: ProblemKind[]): string {
  const items = kinds.map(
    ({ name, title, status }) =>
      html`<li>
        <a href="${name}"><b>${status}</b> ${title}</a>
      </li>`,
  );
  return problemFrame(
    `Problems of the ${service}`,
    html`
      <p class="back"><a href="../">${service}</a></p>
      <h1>Problems</h1>
      <p>Every error is answered as <code>application/problem+json</code>. Its <code>type</code> is one of these.</p>
      <ul class="problems">
        ${items}
      </ul>
    `,
  );
}

function problemPage(service: string, { title, status, description, example }: ProblemKind): string {
  return problemFrame(
    `${title}: a problem of the ${service}`,
    html`
      <p class="back"><a href="../">${service}</a> / <a href="./">Problems</a></p>
      <h1><b>${status}</b> ${title}</h1>
      ${markdown(description)}
      <h2>Example</h2>
      <pre>${JSON.stringify(example, null, 2)}</pre>
    `,
  );
}

function problemFrame(title: string, content: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${title}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <link rel="icon" href="../${assetUrl('icon.svg')}" />
        <link rel="stylesheet" href="../${assetUrl('pages.css')}" />
      </head>
      <body>
        <main class="problem">${content}</main>
      </body>
    </html>`.html;
}
