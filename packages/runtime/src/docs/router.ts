/** Serves the HTML pages: a homepage with the API reference, the contract, and a page per problem type. */
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

/** Mountable at any base path: links are relative. With `docs`, the contract of all services, it serves /docs. */
export function docsRouter(contract: Contract, docs?: Contract): Router {
  const byPath = buildPages(contract, docs);
  return express.Router().use((req, res, next) => {
    // Express reports `/` for both `/user` and `/user/`.
    const path = req.originalUrl.split('?', 1)[0]?.endsWith('/') ? req.path : req.path.replace(/\/$/, '');
    const page = byPath.get(path);
    const alternative = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
    if (page && req.method !== 'GET' && req.method !== 'HEAD') {
      rejectMethod(req, res, 'GET, HEAD, OPTIONS');
    } else if (page) {
      // During a rollout a client may request a version that this replica does not have.
      const isImmutable = req.query.v === page.version;
      res.set('Cache-Control', isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache');
      res.set('ETag', `"${page.version}"`).type(page.type);
      setSecurityHeaders(req, res, () => res.send(page.body));
    } else if (byPath.has(alternative)) {
      res.redirect(308, req.baseUrl + alternative);
    } else {
      next();
    }
  });
}

const setSecurityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      // Redoc starts its search worker from a blob and uses inline styles.
      workerSrc: ['blob:'],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  // Browsers log a warning for these on plain HTTP, which the Ingress uses.
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
});

interface Page {
  type: string;
  body: Buffer;
  version: string;
}

function page(type: string, content: string): Page {
  return {
    type,
    body: Buffer.from(content),
    version: createHash('sha256').update(content).digest('base64url').slice(0, 12),
  };
}

function buildPages(contract: Contract, docs?: Contract): Map<string, Page> {
  const { title } = contract.document.info;
  const problems = [...contract.problems.values()].sort((a, b) => a.status - b.status);
  return new Map([
    ...referencePages('/', contract, homepage),
    ...(docs ? referencePages('/docs', docs, docsPage) : []),
    ['/problems/', page('html', problemList(title, problems))],
    ...problems.map((problem) => [`/problems/${problem.name}`, page('html', problemPage(title, problem))] as const),
    ...[...assets].map(([name, asset]) => [`/assets/${name}`, asset] as const),
  ]);
}

/** A page with an API reference, the reference's document and the contract as YAML and JSON. */
function referencePages(path: string, contract: Contract, render: typeof homepage): [string, Page][] {
  const folder = path.replace(/\/?$/, '/');
  const reference = page('json', JSON.stringify(referenceOf(contract)));
  const referenceUrl = `${folder.slice(1)}reference.json?v=${reference.version}`;
  return [
    [path, page('html', render(contract, { assetUrl, referenceUrl }))],
    [`${folder}reference.json`, reference],
    [`${folder}openapi.yaml`, page('application/yaml', contract.yaml)],
    [`${folder}openapi.json`, page('json', JSON.stringify(contract.document, null, 2))],
  ];
}

/** Filled by build-assets.mjs. */
const assetFolder = new URL('../../dist/docs/assets/', import.meta.url);

const transforms = new Map([
  ['redoc.standalone.js', redocBundle],
  ['pages.js', withRedoc],
]);

const assets = new Map(
  readdirSync(assetFolder).map((name) => {
    const text = readFileSync(new URL(name, assetFolder), 'utf8');
    return [name, page(extname(name), transforms.get(name)?.(text) ?? text)] as const;
  }),
);

function assetUrl(name: string): string {
  return `assets/${name}?v=${assets.get(name)?.version}`;
}

function problemList(service: string, problems: ProblemKind[]): string {
  const items = problems.map(
    ({ name, title, status }) =>
      html`<li>
        <a href="${name}"><b>${status}</b> ${title}</a>
      </li>`,
  );
  return problemLayout(
    `Problems · ${service}`,
    html`
      <p class="breadcrumb"><a href="../">${service}</a></p>
      <h1>Problems</h1>
      <p>
        Every error response is <code>application/problem+json</code>. Its <code>type</code> links to one of these
        pages.
      </p>
      <ul class="problems">
        ${items}
      </ul>
    `,
  );
}

function problemPage(service: string, { title, status, description, example }: ProblemKind): string {
  return problemLayout(
    `${title} · Problems · ${service}`,
    html`
      <p class="breadcrumb"><a href="../">${service}</a> / <a href="./">Problems</a></p>
      <h1><b>${status}</b> ${title}</h1>
      ${markdown(description)}
      <h2>Example</h2>
      <pre>${JSON.stringify(example, null, 2)}</pre>
    `,
  );
}

function problemLayout(title: string, content: Html): string {
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
